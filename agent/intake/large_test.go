package intake

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/large"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
)

// fakeLarge keeps what the intake says of references.
type fakeLarge struct {
	wanted  []string
	refused int
}

func (f *fakeLarge) Want(w large.Wanted) {
	f.wanted = append(f.wanted, fmt.Sprint(w.ID(), " ", w.Name, " ", w.Origin, " ", w.Coalesce))
}

func (f *fakeLarge) Refuse(error, ...any) { f.refused++ }

func reference(u serf.UserEvent) serf.UserEvent {
	ref := large.Refer(u.Name, u.Payload, "publisher")
	u.Name, u.Payload = large.EventName, ref.Encode()
	return u
}

// A reference is passed on to nobody. It is a copy of its event where that is
// known, whichever came first.
func TestIntakeOfReferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		reg := prometheus.NewRegistry()
		j := journal.New(journal.Config{})
		f := new(fakeLarge)
		in := New(Config{Journal: j, Fail: noFailure(t), Large: f, Logger: logger, Metrics: reg})
		var seen []string
		in.Subscribe(func(e serf.Event) { seen = append(seen, e.String()) })
		end := runIntake(t, in)
		take := func(u serf.UserEvent, w Way) {
			if err := in.Take(t.Context(), w, u); err != nil {
				t.Error(err)
			}
		}
		in.Receive(reference(user(1, true)), false)
		in.Receive(reference(user(1, true)), true)
		in.ch <- reference(user(1, true))
		synctest.Wait()
		take(user(1, true), Link)
		take(user(2, false), Link) // in one batch with its reference
		gossiped(in, reference(user(2, false)))
		synctest.Wait()
		in.Receive(reference(user(1, true)), true)
		gossiped(in, serf.UserEvent{LTime: 3, Name: large.EventName, Payload: []byte("by hand")})
		gossiped(in, serf.UserEvent{LTime: 3, Name: "other", Payload: reference(user(1, true)).Payload}) // a payload like any other
		take(user(4, false), Link)
		synctest.Wait()
		in.ch <- reference(user(4, false)) // long after its event
		take(user(5, false), Repair)       // serf does not pass its reference on
		if err := end(); err != nil {
			t.Fatal(err)
		}
		id := handler.NewUser(1, user(1, true).Name, user(1, true).Payload, time.Time{}).ID
		if want := id + " e1 publisher true"; !slices.Equal(f.wanted, []string{want}) || f.refused != 1 {
			t.Errorf("wanted %q, %d refused; want %q once, and one", f.wanted, f.refused, want)
		}
		slices.Sort(seen)
		if want := []string{"user-event: e1", "user-event: e2", "user-event: e4", "user-event: other"}; j.Head() != 5 || !slices.Equal(seen, want) {
			t.Errorf("the journal has %d events, a stream %q, want 5 and %q", j.Head(), seen, want)
		}
		if got := testkit.Counter(t, reg, "agentctl_events_copies_total", "gossip"); got != 3 {
			t.Errorf("%v copies, want 3", got)
		}
	})
}

// heavy is an event of 1 MiB.
func heavy(n int) serf.UserEvent {
	u := user(n, false)
	u.Payload = make([]byte, 1<<20)
	return u
}

// What waits is bounded in bytes, too: what comes over links has to wait, and
// gossip is lost, counted and told.
func TestIntakeOfManyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		j := &stubJournal{wait: func() { <-hang }}
		reg := prometheus.NewRegistry()
		logger, _ := testkit.NewLog()
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger, Metrics: reg})
		end := runIntake(t, in)
		in.Receive(heavy(0), false)
		synctest.Wait() // the journal has it, and hangs
		const fit = queueBytes >> 20
		var events []serf.UserEvent
		one := heavy(0)
		for n := range fit {
			one.LTime = serf.LamportTime(n)
			one.Name = "" // with a name one less would fit
			events = append(events, one)
		}
		for _, e := range events {
			if err := in.Take(t.Context(), Link, e); err != nil {
				t.Fatal(err)
			}
		}
		taken := make(chan error, 1)
		go func() { taken <- in.Take(t.Context(), Link, heavy(fit)) }()
		in.Receive(heavy(fit+1), false)
		synctest.Wait()
		select {
		case <-taken:
			t.Error("there was room for one more")
		default:
		}
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "intake_full"); got != 1 {
			t.Errorf("%v of gossip were lost, want 1", got)
		}
		close(hang)
		if err := <-taken; err != nil {
			t.Error(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if j.len() != fit+2 || j.gap != 1 {
			t.Errorf("%d events are in the journal, and a gap of %d", j.len(), j.gap)
		}
	})
}

func TestCoalescerOfManyBytes(t *testing.T) {
	var c coalescer
	now := time.Now()
	held := 0
	for due, waiting := c.due(); !waiting || due.After(now); due, waiting = c.due() {
		u := heavy(held)
		u.Coalesce = true
		c.add(u, now)
		held++
	}
	if want := coalesceBytes >> 20; held != want || len(c.flush()) != want { // with their names
		t.Errorf("%d events are held before all are let go, want %d", held, want)
	}
	if _, waiting := c.due(); waiting || c.bytes != 0 {
		t.Errorf("%d bytes are said to be held", c.bytes)
	}
}
