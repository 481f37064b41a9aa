package intake

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"
	"pgregory.net/rapid"

	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// drawn is a change of a member that a model test gives to the intake, and the
// pause before it.
type drawn struct {
	pause time.Duration
	change
}

// drawChanges draws what serf can tell of a few members: each one joins, changes its
// tags, leaves or fails, is forced to leave, is forgotten, and comes back at another
// address, in any order that serf's own rules allow. Each join and update brings tags and an address of its own.
func drawChanges(t *rapid.T, without ...serf.EventType) (all []drawn) {
	const (
		unknown = iota
		alive
		failed
		left
	)
	allowed := [...]map[serf.EventType]int{
		unknown: {serf.EventMemberJoin: alive},
		alive: {
			serf.EventMemberUpdate: alive, serf.EventMemberLeave: left, serf.EventMemberFailed: failed,
			serf.EventMemberReap: unknown, // an operator had it forgotten
		},
		failed: {serf.EventMemberJoin: alive, serf.EventMemberLeave: left, serf.EventMemberReap: unknown},
		left:   {serf.EventMemberJoin: alive, serf.EventMemberReap: unknown},
	}
	// None of them makes a change come at the moment when others are told.
	pauses := []time.Duration{0, 0, 0, 1, 401, 977, 1009, 2017, 4001}
	members := rapid.IntRange(1, 5).Draw(t, "members")
	states, now := make([]int, members), make([]serf.Member, members)
	for n := range rapid.IntRange(1, 40).Draw(t, "changes") {
		m := rapid.IntRange(0, members-1).Draw(t, "member")
		var types []serf.EventType
		for typ := serf.EventMemberJoin; typ <= serf.EventMemberReap; typ++ {
			if _, ok := allowed[states[m]][typ]; ok && !slices.Contains(without, typ) {
				types = append(types, typ)
			}
		}
		typ := rapid.SampledFrom(types).Draw(t, "type")
		states[m] = allowed[states[m]][typ]
		if typ == serf.EventMemberJoin || typ == serf.EventMemberUpdate {
			now[m] = serf.Member{
				Name: fmt.Sprint("m", m), Addr: net.IPv4(10, 0, byte(m), byte(n)), Tags: map[string]string{"change": fmt.Sprint(n)},
			}
		}
		all = append(all, drawn{time.Millisecond * rapid.SampledFrom(pauses).Draw(t, "pause"), change{typ, now[m]}})
	}
	return all
}

// told is an event as a target, script or stream got it, and when.
type told struct {
	at    time.Duration // since the first change could come
	typ   string
	lines string
}

// tellAll gives changes to an intake, ends it after a while of quiet or at once, and
// returns what the targets, a script and a stream got.
func tellAll(t *testing.T, changes []drawn, quiet time.Duration) (target, ran, stream []told) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := new(stubJournal)
		began := time.Now()
		note := func(to *[]told, e serf.Event) {
			*to = append(*to, told{time.Since(began), e.EventType().String(), string(linesOf(e))})
		}
		r := script.NewRunner("r", handler.Filters{{Type: "*"}}, logger, nil, func(_ context.Context, t script.Task) { note(&ran, t.Event) })
		drain := make(chan struct{})
		go r.Run(t.Context(), drain)
		in := New(Config{Journal: j, Runners: []*script.Runner{r}, Fail: noFailure(t), Logger: logger})
		in.Subscribe(func(e serf.Event) { note(&stream, e) })
		end := runIntake(t, in)
		for _, c := range changes {
			time.Sleep(c.pause)
			in.ch <- serf.MemberEvent{Type: c.typ, Members: []serf.Member{c.member}}
			synctest.Wait()
		}
		time.Sleep(quiet)
		if err := end(); err != nil {
			t.Error(err)
		}
		close(drain)
		r.Idle(t.Context())
		for _, e := range j.events {
			target = append(target, told{e.Time.Sub(began), string(e.Type), string(e.Payload)})
		}
	})
	return target, ran, stream
}

func linesOf(e serf.Event) []byte { return script.MemberLines(e.(serf.MemberEvent).Members) }

// perMember sorts what was told by member: for each its changes, in order.
func perMember(events []told) map[string][]string {
	of := map[string][]string{}
	for _, e := range events {
		for line := range strings.Lines(e.lines) {
			name, rest, _ := strings.Cut(line, "\t")
			of[name] = append(of[name], e.typ+" "+rest)
		}
	}
	return of
}

// TestEachChangeOfEachMemberOnce is the model test: whatever members do, each target,
// script and stream is told each change once, as it was, in the order of the member's
// changes, and after as long as under serf.
func TestEachChangeOfEachMemberOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		changes := drawChanges(rt)
		quiet := rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(rt, "quiet")
		target, ran, stream := tellAll(t, changes, quiet)

		// The model: a change alone is an event alone, told when serf's periods are over.
		var want []told
		var gathered [][]drawn // by when they are told together
		var due []time.Duration
		now, first, last := time.Duration(0), time.Duration(0), time.Duration(0)
		for _, c := range changes {
			now += c.pause
			if len(gathered) == 0 || now >= min(first+gatherPeriod, last+gatherQuiet) {
				first = now
				gathered, due = append(gathered, nil), append(due, 0)
			}
			last = now
			n := len(gathered) - 1
			gathered[n] = append(gathered[n], c)
			due[n] = min(first+gatherPeriod, last+gatherQuiet)
			want = append(want, told{0, c.typ.String(), string(linesOf(serf.MemberEvent{Members: []serf.Member{c.member}}))})
		}
		if n := len(due) - 1; due[n] > now+quiet { // the end comes before
			due[n] = now + quiet + drainSilence
		}
		for who, got := range map[string][]told{"a target": target, "a script": ran, "a stream": stream} {
			if diff := cmp.Diff(perMember(want), perMember(got)); diff != "" {
				rt.Fatalf("%s is told of the members (-want +got):\n%s", who, diff)
			}
			if diff := cmp.Diff(target, got, cmp.AllowUnexported(told{})); diff != "" {
				rt.Fatalf("%s is told other events than a target (-target +%s):\n%s", who, who, diff)
			}
		}
		for n, changes := range gathered {
			events := slices.DeleteFunc(slices.Clone(target), func(e told) bool { return e.at != due[n] })
			if lines := countLines(events); lines != len(changes) {
				rt.Fatalf("%d changes are told at %v, want %d: %+v", lines, due[n], len(changes), target)
			}
			if least, most := fewest(changes); most < 3 && len(events) > least {
				rt.Fatalf("%d events tell of %+v, which %d can do: %+v", len(events), changes, least, events)
			}
		}
	})
}

func countLines(events []told) (n int) {
	for _, e := range events {
		n += strings.Count(e.lines, "\n")
	}
	return n
}

// fewest is in how many events changes can be told, found by trying all orders, and
// how many changes a member has at most.
func fewest(changes []drawn) (least, most int) {
	of := map[string][]serf.EventType{}
	for _, c := range changes {
		of[c.member.Name] = append(of[c.member.Name], c.typ)
		most = max(most, len(of[c.member.Name]))
	}
	for most < 3 && !tellable(of, least) { // with more it takes too long
		least++
	}
	return least, most
}

// tellable tells whether so many events can tell of the members' changes.
func tellable(of map[string][]serf.EventType, events int) bool {
	next := map[serf.EventType]bool{}
	for _, types := range of {
		if len(types) > events {
			return false
		}
		if len(types) > 0 {
			next[types[0]] = true
		}
	}
	for typ := range next {
		rest := map[string][]serf.EventType{}
		for name, types := range of {
			if len(types) > 0 && types[0] == typ {
				types = types[1:]
			}
			rest[name] = types
		}
		if tellable(rest, events-1) {
			return true
		}
	}
	return len(next) == 0
}
