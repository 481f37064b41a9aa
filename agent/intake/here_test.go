package intake

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
)

// What is taken is in the journal when Take returns, unless another goroutine is at work:
// no other one has to be woken for it.
func TestTakePassesOnByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := new(stubJournal)
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		synctest.Wait()
		if err := in.Take(t.Context(), Link, user(1, false), user(2, false)); err != nil {
			t.Fatal(err)
		}
		if got := j.len(); got != 2 {
			t.Errorf("%d events are in the journal, want 2", got)
		}
		in.work.Lock() // another goroutine is at work
		if err := in.Take(t.Context(), Link, user(3, false)); err != nil {
			t.Fatal(err)
		}
		in.work.Unlock()
		synctest.Wait()
		if got := j.len(); got != 3 {
			t.Errorf("%d events are in the journal, want 3: the last one waits for nobody", got)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// An event that serf passes on wakes dispatch only if anybody wants it.
func TestUnwantedEventsAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		in := New(Config{Journal: new(stubJournal), Fail: noFailure(t), Logger: logger})
		var got []string
		wanted := false
		in.SubscribeWhile(func() bool { return wanted }, func(e serf.Event) { got = append(got, e.String()) })
		end := runIntake(t, in)
		pass := func(e serf.Event) {
			in.ch <- e
			synctest.Wait()
		}
		pass(user(1, false))
		pass(serf.MemberEvent{Type: serf.EventMemberJoin}) // which nobody may miss
		pass(user(2, true))                                // it is due later
		wanted = true
		pass(user(3, false))
		wanted = false
		cancel := in.Subscribe(func(serf.Event) {})
		pass(user(4, false))
		cancel()
		pass(user(5, false))
		if err := end(); err != nil {
			t.Error(err)
		}
		want := map[string]bool{user(2, true).String(): true, user(3, false).String(): true, user(4, false).String(): true}
		for _, e := range got {
			if e != (serf.MemberEvent{}).String() {
				delete(want, e)
			}
			if e == user(1, false).String() || e == user(5, false).String() {
				t.Errorf("got %s, which nobody wanted", e)
			}
		}
		if len(want) > 0 {
			t.Errorf("got %v without %v", got, want)
		}
	})
}

// Taking an event does not come to cost more. The stub's journal takes some of it.
func TestTakeAllocates(t *testing.T) {
	const runs, most = 1000, 5
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		in := New(Config{Journal: new(stubJournal), Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		synctest.Wait()
		events := make([]serf.UserEvent, runs+1) // AllocsPerRun runs once more
		for i := range events {
			events[i] = serf.UserEvent{LTime: serf.LamportTime(i), Name: "kong", Payload: []byte(strconv.Itoa(i))}
		}
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			if err := in.Take(t.Context(), Link, events[next]); err != nil {
				t.Error(err)
			}
			next++
		})
		if allocs > most {
			t.Errorf("an event takes %v allocations, at most %d are wanted", allocs, most)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
