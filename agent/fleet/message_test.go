package fleet

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/agent/delegate"
	"agentctl/handler/varint"
)

func sample(now time.Time) api.StatusReport {
	return api.StatusReport{
		Node: "web1", Version: "1.2.3", State: "alive", Joined: true, Members: map[string]int{"alive": 5, "failed": 1}, Links: 4,
		Warnings: []string{"UDP port 7946 of web2 seems closed"},
		Targets: []api.TargetReport{
			{Target: "kong", State: api.TargetOK, LastError: "of yesterday", LastDelivered: now.Add(-time.Second), Delivered: 7, Latency: api.Quantiles{P99: 0.0125}},
			{Target: "cache", State: api.TargetStale, GapReason: "too many waited", Lost: 3, Since: now.Add(-time.Hour)},
			{Target: "far", State: api.TargetRetrying, Since: now.Add(-time.Minute), LastError: "answered 500", Waiting: 4, OldestWaiting: now.Add(-time.Minute), Flushes: 2},
		},
	}
}

func TestAnAnswerComesBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := sample(now)
	a := own(&s)
	packed, err := a.pack(now)
	if err != nil {
		t.Fatal(err)
	}
	packed, err = decode(append(encode(packed), "of a later version"...))
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Hour) // of another clock
	b, err := unpack(packed, later)
	if err != nil {
		t.Fatal(err)
	}
	want := answer{
		api.OwnStatus{Version: "1.2.3", State: "alive", Members: map[string]int{"alive": 5, "failed": 1}, Links: 4, Targets: []api.OwnTarget{
			{Target: "cache", State: api.TargetStale, Since: later.Add(-time.Hour), Lost: 3},
			{Target: "far", State: api.TargetRetrying, Since: later.Add(-time.Minute), LastError: "answered 500", Waiting: 4, OldestWaiting: later.Add(-time.Minute), Flushes: 2},
			{Target: "kong", State: api.TargetOK, LastDelivered: later.Add(-time.Second), Delivered: 7, P99: 0.0125},
		}},
		[]api.Problem{
			{Target: "cache", Text: "stale, empty its cache: too many waited", Do: "agentctl replay -accept-gap -target=cache"},
			{Target: "far", Text: "retrying: answered 500", Do: "agentctl replay -now -target=far"},
			{Text: "UDP port 7946 of web2 seems closed", Do: "agentctl status"},
		},
	}
	if diff := cmp.Diff(want, b, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An answer of a later version has more in it, at each place.
func TestALaterVersionIsRead(t *testing.T) {
	t.Parallel()
	var e, numbers varint.Encoder
	for range 12 {
		e.Uint(1)
	}
	numbers.Uint(3)
	numbers.Bytes(e)
	numbers.Text("more")
	a, err := unpack(delegate.Answer{
		Shared: []byte(`{"version":"9","state":"new","targets":[{"target":"kong","state":"unheard of","new":1}],"new":{"a":[]}}`), Own: numbers,
	}, time.Now())
	if err != nil || a.Version != "9" || a.Links != 3 || a.Targets[0].State != "unheard of" || a.Targets[0].Flushes != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if rank(a.Targets[0].State) >= rank(api.TargetStale) {
		t.Error("a state of a later version is not the worst")
	}
}

// What a hostile node puts into its answer is cut, and no command of it gets through that
// does harm.
func TestAHostileAnswerIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü\x1b[31m", 60)
	var problems []api.Problem
	for _, do := range []string{
		"rm -rf /", "agentctl leave", "agentctl status; rm -rf /", "agentctl replay -target=$(id)", "agentctl status\nreboot", "agentctl keys -remove=a",
		"agentctl status -http-addr=`id`", "agentctl replay -target=" + strings.Repeat("a", 1000), "agentctl replay -target=a b", "agentctl replay -target=a&b", "agentctl replay -now -target=http://127.0.0.1:8001/a#user:kong",
	} {
		problems = append(problems, api.Problem{Text: long, Do: do, Target: long, Here: true})
	}
	var targets []targetWords
	var numbers varint.Encoder
	numbers.Uint(1 << 63)
	for i := range 100 {
		targets = append(targets, targetWords{fmt.Sprint(i), "ok", ""})
		var e varint.Encoder
		for range 8 {
			e.Uint(1 << 63)
		}
		if len(numbers) < maxNumbers-100 {
			numbers.Bytes(e)
		} else {
			targets = targets[:i]
			break
		}
	}
	targets[0] = targetWords{long, api.TargetState(long), long}
	raw, err := json.Marshal(words{Version: long, State: long, Members: map[string]int{"alive": -5, "left": 1 << 60, long: 1}, Targets: targets, More: -1, Problems: problems})
	if err != nil {
		t.Fatal(err)
	}
	a, err := unpack(delegate.Answer{Shared: raw, Own: numbers}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wantBounded(t, &a)
	for i, p := range a.problems {
		if i < len(a.problems)-1 && p.Do != "agentctl status" || i == len(a.problems)-1 && p.Do != "agentctl replay -now -target=http://127.0.0.1:8001/a#user:kong" {
			t.Errorf("a command: %q", p.Do)
		}
	}
	if _, err := unpack(delegate.Answer{Shared: []byte("{}" + strings.Repeat(" ", maxWords)), Own: []byte{0}}, time.Now()); err == nil {
		t.Error("a long answer is taken")
	}
}

// wantBounded checks that an answer can be told to anybody.
func wantBounded(t *testing.T, a *answer) {
	t.Helper()
	text := []string{a.Version, a.State}
	if len(a.Targets) > api.MaxOwnTargets || len(a.problems) > api.MaxOwnProblems || len(a.Members) > 4 || a.More < 0 {
		t.Errorf("%d targets, %d problems, %d statuses", len(a.Targets), len(a.problems), len(a.Members))
	}
	for _, target := range a.Targets {
		text = append(text, target.Target, string(target.State), target.LastError)
	}
	for _, p := range a.problems {
		text = append(text, p.Target, p.Text, p.Do)
		if p.Here || !command().MatchString(p.Do) {
			t.Errorf("a problem says %+v", p)
		}
	}
	for _, s := range text {
		if len(s) > api.MaxOwnText+len("…") || !utf8.ValidString(s) {
			t.Errorf("a text of %d bytes: %.40q", len(s), s)
		}
	}
	for _, n := range a.Members {
		if n < 0 {
			t.Errorf("%d members", n)
		}
	}
	if _, err := json.Marshal(a.OwnStatus); err != nil { // a time or number may be none of JSON's
		t.Error(err)
	}
}

func FuzzAnswer(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	s := sample(now)
	a := own(&s)
	packed, err := a.pack(now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(packed))
	f.Add([]byte(strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		packed, err := decode(b)
		if err != nil {
			return
		}
		a, err := unpack(packed, now)
		if err != nil {
			return
		}
		wantBounded(t, &a)
		again, err := a.pack(now)
		if err != nil {
			t.Fatal(err)
		}
		c, err := unpack(again, now)
		if diff := cmp.Diff(a, c, cmp.AllowUnexported(answer{})); err != nil || diff != "" {
			t.Errorf("%v (-first +again):\n%s", err, diff)
		}
	})
}
