package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestOperatorFlushesAndAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := error(&target.PostError{Class: target.Bury, Status: 404})
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, func(_ context.Context, e *handler.Event, _ int) error {
			if e.ID == flushID {
				return answer
			}
			return nil
		})
		ask := func() Status {
			if err := r.Flush("an operator asks"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return r.Status()
		}
		accept := func() Status {
			if err := r.AcceptGap(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return r.Status()
		}
		accept() // nothing: there is no gap
		for i := range uint64(2) {
			if s := ask(); s.State != StateStale || s.FlushesRefused != i+1 || s.GapReason != "an operator asks" {
				t.Errorf("refused, and asked again at once: %+v", s)
			}
		}
		if s := accept(); s.State != StateOK || !s.GapSince.IsZero() {
			t.Errorf("accepted: %+v", s)
		}
		answer = nil
		if s := ask(); s.State != StateOK || s.Flushes != 1 || s.Lost != 0 {
			t.Errorf("flushed: %+v", s)
		}
		time.Sleep(time.Hour)
		answer = &target.PostError{Class: target.Retry, Status: 429, RetryAfter: time.Hour}
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		if s := ask(); s.State != StateFlushing || s.Attempts != 1 {
			t.Errorf("waiting: %+v", s)
		}
		journals.MustAppend(t, r.journal, journals.User(2, ""))
		if s := ask(); s.FlushesRetried != 2 {
			t.Errorf("not at once: %+v", s)
		}
		if s := accept(); s.State != StateOK || s.Attempts != 0 || s.Delivered != 2 {
			t.Errorf("accepted, what waited for the flush goes on: %+v", s)
		}
		testkit.Want(t, "lines", len(r.log.With(t, "an operator accepted")), 2)
		lines := len(r.log.With(t, "fails its flush"))
		time.Sleep(time.Second)
		if s := ask(); s.State != StateFlushing || s.Attempts != 1 || len(r.log.With(t, "fails its flush")) != lines+1 {
			t.Errorf("it began anew: %+v", s)
		}
	})
}

// Even one that nobody needs any more has nothing beside it.
func TestAcceptDuringAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, func(ctx context.Context, e *handler.Event, _ int) error {
			return backoff.Sleep(ctx, time.Second)
		})
		journals.MustGap(t, r.journal, 1, "lost")
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		time.Sleep(time.Second / 2)
		if err := r.AcceptGap(); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		testkit.Want(t, "attempts", r.poster.attempts(), []string{flushID, journals.User(1, "").ID})
		testkit.Want(t, "in flight at once", r.poster.most, 1)
	})
}

func TestFlushWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{Name: "gw"}}, journal.Config{}, nil)
		if err := r.Flush("now"); !errors.Is(err, target.ErrNoFlush) || !strings.Contains(err.Error(), "gw") {
			t.Errorf("%v", err)
		}
		testkit.Want(t, "no gap of it", r.Status().State, StateOK)
		journals.MustGap(t, r.journal, 2, "lost")
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		r.idle(t)
		if s := r.Status(); s.State != StateStale || s.Delivered != 1 || s.Lost != 2 {
			t.Errorf("%+v", s)
		}
		if err := r.AcceptGap(); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "accepted", r.Status().State, StateOK)
	})
}
