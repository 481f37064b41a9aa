package handler

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/backoff"
)

func TestOperatorFlushesAndAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := error(&PostError{Class: Bury, Status: 404})
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{}, func(_ context.Context, e *Event, _ int) error {
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
		answer = &PostError{Class: Retry, Status: 429, RetryAfter: time.Hour}
		mustAppend(t, r.journal, user(1, ""))
		if s := ask(); s.State != StateFlushing || s.Attempts != 1 {
			t.Errorf("waiting: %+v", s)
		}
		mustAppend(t, r.journal, user(2, ""))
		if s := ask(); s.FlushesRetried != 2 {
			t.Errorf("not at once: %+v", s)
		}
		if s := accept(); s.State != StateOK || s.Attempts != 0 || s.Delivered != 2 {
			t.Errorf("accepted, what waited for the flush goes on: %+v", s)
		}
		want(t, "lines", len(r.log.with(t, "an operator accepted")), 2)
		lines := len(r.log.with(t, "fails its flush"))
		time.Sleep(time.Second)
		if s := ask(); s.State != StateFlushing || s.Attempts != 1 || len(r.log.with(t, "fails its flush")) != lines+1 {
			t.Errorf("it began anew: %+v", s)
		}
	})
}

// Even one that nobody needs any more has nothing beside it.
func TestAcceptDuringAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{}, func(ctx context.Context, e *Event, _ int) error {
			return backoff.Sleep(ctx, time.Second)
		})
		mustGap(t, r.journal, 1, "lost")
		mustAppend(t, r.journal, user(1, ""))
		time.Sleep(time.Second / 2)
		if err := r.AcceptGap(); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		want(t, "attempts", r.poster.attempts(), []string{flushID, user(1, "").ID})
		want(t, "in flight at once", r.poster.most, 1)
	})
}

func TestFlushWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: Target{Name: "gw"}}, MemoryConfig{}, nil)
		if err := r.Flush("now"); !errors.Is(err, ErrNoFlush) || !strings.Contains(err.Error(), "gw") {
			t.Errorf("%v", err)
		}
		want(t, "no gap of it", r.Status().State, StateOK)
		mustGap(t, r.journal, 2, "lost")
		mustAppend(t, r.journal, user(1, ""))
		r.idle(t)
		if s := r.Status(); s.State != StateStale || s.Delivered != 1 || s.Lost != 2 {
			t.Errorf("%+v", s)
		}
		if err := r.AcceptGap(); err != nil {
			t.Fatal(err)
		}
		want(t, "accepted", r.Status().State, StateOK)
	})
}
