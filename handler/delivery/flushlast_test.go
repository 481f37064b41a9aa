package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/disks"
	"agentctl/scripts/testkit/journals"
)

// lastTarget is one of which each event replaces all that it holds.
var lastTarget = target.Target{URL: "http://h/", Flush: &target.FlushRequest{LastEvent: true}}

// A flush by the last event posts the newest one that the target took, or that
// was given up, and none that was refused; what waits comes behind it.
func TestFlushByLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		r := start(t, Config{Target: lastTarget}, journal.Config{MaxPending: 2}, func(_ context.Context, e *handler.Event, _ int) error {
			switch {
			case string(e.Payload) == "bad":
				return &target.PostError{Class: target.Bury, Status: 400}
			case down:
				return refused
			}
			return nil
		})
		events := map[string]string{}
		publish := func(payload string) {
			e := handler.NewUser(uint64(len(events)+1), "config", []byte(payload), time.Now())
			events[e.ID] = payload
			journals.MustAppend(t, r.journal, e)
		}
		since := 0
		posted := func() (out []string) {
			for _, id := range r.poster.attempts()[since:] {
				out = append(out, events[id])
			}
			since += len(out)
			return out
		}
		for _, payload := range []string{"1", "2", "bad"} {
			publish(payload)
			r.idle(t)
		}
		testkit.Want(t, "at first", posted(), []string{"1", "2", "bad"})
		if err := r.Flush("an operator asked for it"); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		testkit.Want(t, "flush", posted(), []string{"2"})

		down = true
		for _, payload := range []string{"3", "4", "5", "6"} { // 3 is tried, 4 and 5 are given up
			publish(payload)
			synctest.Wait()
		}
		down = false
		posted()
		r.idle(t)
		got := posted()
		// The flush of the operator went well just now. So what waits goes on meanwhile, and
		// the flush after the loss is one more of the last.
		testkit.Want(t, "after a loss, of what waits", got, []string{"3", "6", "6"})
		if s := r.Status(); s.State != StateOK || s.Flushes != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Where no event is known the flush is given up, unless one waits that will
// replace all there is.
func TestFlushByLastEventOfNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: lastTarget}, journal.Config{}, nil)
		journals.MustGap(t, r.journal, 1, "it was away")
		synctest.Wait()
		if s := r.Status(); s.State != StateStale || s.LastError == "" {
			t.Errorf("nothing is known: %+v", s)
		}
		testkit.Want(t, "posts", r.poster.attempts(), []string(nil))

		e := journals.User(1, "config")
		journals.MustAppend(t, r.journal, e)
		r.idle(t)
		time.Sleep(refusedHold)
		journals.MustGap(t, r.journal, 1, "it was away again")
		r.idle(t)
		testkit.Want(t, "posts", r.poster.attempts(), []string{e.ID, e.ID})
		testkit.Want(t, "state", r.Status().State, StateOK)
	})
}

// The last event outlives the history and the process, for as long as the
// target wants it.
func TestLastEventIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cfg := disk.Config{Dir: dir, Limits: journal.Config{MaxEvents: 2}, NoSync: true}
		d := disks.Open(t, cfg)
		cursor := func(keep bool) *journal.Cursor {
			c, err := d.Cursor("n", journal.CursorConfig{Filters: handler.Filters{{Type: handler.User, Name: "config"}}, KeepLast: keep})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		take := func(c *journal.Cursor) string {
			rec, err := c.Next(t.Context())
			if err == nil {
				err = c.Ack(rec.Seq, 200)
			}
			if err != nil {
				t.Fatal(err)
			}
			return rec.Event.ID
		}
		c := cursor(true)
		wanted := journals.User(2, "config")
		journals.MustAppend(t, d.Journal, journals.User(1, "config"), wanted)
		take(c)
		take(c)
		for i := range uint64(5) {
			journals.MustAppend(t, d.Journal, journals.User(10+i, "other"))
		}
		for process := range 3 {
			if _, held := d.At(1); held {
				t.Error("an event that is not the last is held")
			}
			if rec, held := d.Find(wanted.ID); !held || rec.Seq != 2 {
				t.Errorf("process %d: the last event is not held", process)
			}
			for range 2 { // twice makes it wait once
				if err := c.RequeueLast(); err != nil {
					t.Fatal(err)
				}
			}
			testkit.Want(t, "waiting", c.Status().Waiting, 1)
			testkit.Want(t, "the last", take(c), wanted.ID)
			testkit.MustClose(t, d)
			d = disks.Open(t, cfg)
			c = cursor(true)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = cursor(false)
		if _, held := d.Find(wanted.ID); held {
			t.Error("it is held, though nobody wants it any more")
		}
		if err := c.RequeueLast(); !errors.Is(err, journal.ErrNoLast) {
			t.Errorf("there is none, and: %v", err)
		}
		testkit.MustClose(t, d)
	})
}

// A target that comes to want it has what the history tells of.
func TestLastEventOfTheHistory(t *testing.T) {
	j := journal.New(journal.Config{})
	open := func(keep bool) *journal.Cursor {
		c, err := j.Cursor("n", journal.CursorConfig{KeepLast: keep})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open(false)
	journals.MustAppend(t, j, journals.User(1, "a"), journals.User(2, "b"), journals.User(3, "c"))
	for range 3 {
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rec.Seq == 3 {
			err = c.Bury(3, journal.Burial{Status: 400})
		} else {
			err = c.Ack(rec.Seq, 200)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(true)
	if err := c.RequeueLast(); err != nil {
		t.Fatal(err)
	}
	rec, err := c.Next(t.Context())
	if err != nil || rec.Seq != 2 {
		t.Errorf("event %d, %v, want 2: 3 was refused", rec.Seq, err)
	}
}
