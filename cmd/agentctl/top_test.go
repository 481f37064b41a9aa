package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

// clearing is a name that would clear a terminal, were it printed.
const clearing = "\x1b[2Jx\r\n\u202e"

// topCluster is a cluster of nine members, of which four are not well.
func topCluster(now time.Time) *api.ClusterReport {
	r := someCluster(now)
	r.Stock = 2
	r.Members = slices.DeleteFunc(r.Members, func(m api.MemberReport) bool {
		return !slices.Contains([]string{"web1", "web 2\x1b", "web3", "web4", "web5", "stock1", "stock2", "old", "gone"}, m.Node)
	})
	return r
}

// someTop has seen it for some seconds.
func someTop() *top {
	t := newTop("127.0.0.1:7374", time.Local)
	for i := range 4 {
		r := topCluster(longAgo().Add(time.Duration(2*i) * time.Second))
		r.Members[0].Says.Targets[0].Delivered = uint64(100 * i * i)
		r.Members[0].Says.Targets[0].P99 = 0.001 * float64(i)
		r.Members[1].Says.Targets[0].LastError = "answered 500 " + clearing
		r.Members[1].Says.Targets = r.Members[1].Says.Targets[:2]
		r.Members[2].Says.Members["alive"] = 3
		t.take(r, nil)
		t.event(&api.EventReport{Seq: uint64(10 + 3*i), ID: fmt.Sprintf("%d-0f4b3224a0bfdf43", 10+3*i), Time: r.Time, Type: "user", Name: "kong", Size: 2, Payload: "{}",
			Targets: map[string]api.OutcomeReport{"kong": {State: api.OutcomeDelivered}}})
	}
	t.event(&api.EventReport{Seq: 20, ID: clearing, Time: longAgo(), Type: "user", Name: clearing, Size: 2000, Payload: strings.Repeat(clearing, 100),
		Targets: map[string]api.OutcomeReport{"kong": {State: api.OutcomeDelivered}, clearing: {State: api.OutcomeWaiting}}})
	return t
}

// shown is what a frame shows, with no space at the ends of lines. A line that is red has a
// mark, which stands for no character of the frame.
func shown(t *testing.T, top *top, width, height int) string {
	t.Helper()
	lines := top.view(width, height, top.past.at.Add(time.Second))
	if len(lines) != height {
		t.Errorf("%d lines of %d", len(lines), height)
	}
	var b strings.Builder
	for _, line := range lines {
		if screen.Width(line.Text) > width || strings.ContainsFunc(line.Text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%d columns wide, or not to be printed: %q", screen.Width(line.Text), line.Text)
		}
		b.WriteString(strings.TrimRight(line.Text, " ") + "\n")
	}
	return b.String()
}

func TestTopScreens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		width, height int
		keys          string
	}{
		{"nodes80", 80, 24, ""},
		{"nodes200", 200, 30, ""},
		{"targets80", 80, 24, "t"},
		{"targets200", 200, 30, "t"},
		{"node80", 80, 24, "jj\r"},
		{"node200", 200, 30, "jj\r"},
		{"target80", 80, 24, "tjj\r"},
		{"help80", 80, 24, "?"},
		{"tiny", 20, 4, ""},
	} {
		top := someTop()
		shown(t, top, c.width, c.height)
		for _, k := range c.keys {
			top.key(screen.Key(k), c.width)
		}
		got, path := shown(t, top, c.width, c.height), filepath.Join("testdata", "top", c.name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: if this is right, run: go test ./cmd/agentctl -run '^TestTopScreens$' -update\n(-want +got):\n%s", c.name, diff)
		}
	}
}

// selected is the row that is selected, and first the row at the top.
func TestTopKeys(t *testing.T) {
	t.Parallel()
	top := someTop()
	const width = 80
	do := func(keys ...screen.Key) {
		t.Helper()
		for _, k := range keys {
			shown(t, top, width, 24)
			top.key(k, width)
		}
	}
	at := func() string { rows := top.rows(width); return rows[top.at(rows)].node }
	expect := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Errorf("%s: at %q\n%s", what, at(), shown(t, top, width, 24))
		}
	}
	worst := at()
	expect("the worst is first", worst == "web4" || worst == "web5")
	do('j', screen.Down)
	expect("down", at() == "web 2\x1b")
	do(screen.Up, 'k', 'k', 'k')
	expect("up to the top", at() == worst)
	do(screen.End)
	expect("the last", at() == "gone")
	do('j', screen.Home)
	expect("the first", at() == worst)
	do(screen.PageDown, screen.PageUp)
	expect("a page down and up", at() == worst)

	do('s')
	expect("by node", top.rows(width)[1].node == "gone" && top.names()[top.by] == "NODE")
	do('r')
	expect("reversed", top.rows(width)[0].node == "web5")
	do('s', 's', 's', 's')
	expect("by what waits, the least first", top.names()[top.by] == "WAITING" && top.rows(width)[8].node == "web 2\x1b")
	for range len(top.shown) - 4 {
		do('s')
	}
	expect("the worst again", top.by == -1)
	do('r')

	do('/', 'S', 'T', 'x', screen.Backspace, 'o')
	expect("to find", top.finding && len(top.rows(width)) == 2)
	do(screen.Enter)
	expect("found", !top.finding && strings.Contains(shown(t, top, width, 24), "/ find: STo"))
	do(screen.Esc)
	expect("all again", len(top.rows(width)) == 9)
	do('/', 'q', screen.Esc)
	expect("no text", !top.finding && top.find == "" && !top.quit)

	top.selected = rowKey{node: "web1"}
	do('t')
	expect("a node's target", top.targets && at() == "web1")
	do(screen.Enter)
	expect("a target opened", *top.opened == rowKey{"web1", "kong"})
	do('j', 'j', 'k', screen.Esc)
	expect("closed", top.opened == nil)
	do(screen.Tab, screen.Enter)
	expect("a node opened", *top.opened == rowKey{node: "web1"})
	top.report = &api.ClusterReport{Node: "web1", Time: longAgo()}
	expect("gone", strings.Contains(shown(t, top, width, 24), "web1: it is no member any more"))
	top.key(screen.Esc, width)
	top.key(screen.Down, width)
	top.key(screen.Enter, width)
	expect("nothing to open", top.opened == nil)
	top.key('?', width)
	top.key('j', width)
	expect("help", !top.help)
	top.key('q', width)
	if !top.quit {
		t.Error("q does not quit")
	}
}

// A table longer than the screen shows the part with the row that is selected.
func TestTopScrolls(t *testing.T) {
	t.Parallel()
	top := newTop("x", time.Local)
	r := &api.ClusterReport{Node: "web000", Time: longAgo()}
	for i := range 300 {
		r.Members = append(r.Members, api.MemberReport{Node: fmt.Sprintf("web%03d", i), Status: "alive", Answer: api.AnswerGiven, Says: &api.OwnStatus{State: "alive"}})
	}
	top.take(r, nil)
	for _, c := range []struct {
		key  screen.Key
		want string
	}{{0, ">web000"}, {screen.End, ">web299"}, {screen.PageUp, ">web289"}, {screen.Up, ">web288"}, {screen.Home, ">web000"}} {
		top.key(c.key, 80)
		if got := shown(t, top, 80, 24); !strings.Contains(strings.ReplaceAll(got, "> ", ">"), c.want+" ") {
			t.Errorf("no %s in\n%s", c.want, got)
		}
	}
}

// What the agent does not say shows as that, and does not look like news.
func TestTopTellsOfFailures(t *testing.T) {
	t.Parallel()
	now := longAgo()
	view := func(top *top) string {
		var b strings.Builder
		for _, line := range top.view(80, 24, now) {
			b.WriteString(line.Text + " ")
		}
		return b.String()
	}
	expect := func(top *top, want string) {
		t.Helper()
		if got := view(top); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	top := newTop("127.0.0.1:7374", time.Local)
	expect(top, "the agent at 127.0.0.1:7374 is asked how the cluster is")
	top.take(nil, errors.New("no agent answers\x1b"))
	expect(top, `cannot ask how the cluster is: "no agent answers\x1b"; it is asked again`)
	top.take(topCluster(now), nil)
	if strings.Contains(view(top), "cannot ask") {
		t.Error("a failure that is over still shows")
	}
	top.asked, now = now, now.Add(lateAnswer)
	expect(top, "the agent has not answered for 4s; what is shown is of 12:00:00")
	top.take(nil, errors.New("no agent"))
	expect(top, "no agent; it is asked again; what is shown is of 12:00:00")
	top.eventFailed = "the agent has ended the stream"
	if strings.Contains(view(top), "events are missing") {
		t.Error("two failures of one agent show")
	}
	top.take(topCluster(now), nil)
	expect(top, "events are missing: the agent has ended the stream")
}

func TestTopPast(t *testing.T) {
	t.Parallel()
	var p past
	for i, delivered := range []int{10, 30, 30, 5, 9, -1, 20} {
		r := &api.ClusterReport{Time: longAgo().Add(time.Duration(2*i) * time.Second), Members: []api.MemberReport{{Node: "web1"}, {Node: "web2"}}}
		if delivered >= 0 {
			r.Members[0].Says = &api.OwnStatus{Targets: []api.OwnTarget{{Target: "a", Delivered: uint64(delivered), P99: 0.5}, {Target: "b", Delivered: uint64(2 * i)}}}
		}
		p.add(r)
	}
	// A counter that falls began anew, and a member that was silent is not known.
	for _, c := range []struct {
		of   rowKey
		want string
	}{{rowKey{"web1", "a"}, "[NaN]"}, {rowKey{"web1", ""}, "[NaN 11 1 1 3 NaN NaN]"}, {rowKey{}, "[NaN 11 1 1 3 NaN NaN]"}, {rowKey{"web2", ""}, "[NaN NaN NaN NaN NaN NaN NaN]"}} {
		if got := fmt.Sprint(p.of(c.of).rates); got != c.want {
			t.Errorf("%v: %s, want %s", c.of, got, c.want)
		}
	}
	if got := bars(p.of(rowKey{}).rates, 10); got != "    █▂▂▃  " {
		t.Errorf("bars %q", got)
	}
	for range 2 * maxPast {
		p.add(&api.ClusterReport{Time: p.at.Add(time.Second)})
	}
	if n := len(p.of(rowKey{}).rates); n != maxPast || len(p.all) != 1 {
		t.Errorf("%d reports of %d are remembered", n, len(p.all))
	}
}

func TestTopEventsAreBounded(t *testing.T) {
	t.Parallel()
	top := newTop("x", time.Local)
	for i := range 3 * maxTopEvents {
		e := api.EventReport{Seq: uint64(i + 1), ID: fmt.Sprint(i), Targets: map[string]api.OutcomeReport{"a": {State: api.OutcomeWaiting}}}
		top.event(&e)
	}
	if len(top.events) != maxTopEvents || top.newest != 3*maxTopEvents {
		t.Errorf("%d events, the newest %d", len(top.events), top.newest)
	}
	ids := top.waiting(2)
	if fmt.Sprint(ids) != "[599 598]" {
		t.Errorf("waiting: %v", ids)
	}
	top.event(&api.EventReport{Seq: 599, ID: "598", Targets: map[string]api.OutcomeReport{"a": {State: api.OutcomeDelivered}}})
	if ids := top.waiting(2); fmt.Sprint(ids) != "[599 597]" || len(top.events) != maxTopEvents || top.newest != 600 {
		t.Errorf("an event again: %v", ids)
	}
}
