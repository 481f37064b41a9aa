package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

func TestDeliveryInOrderOneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{Filters: handler.Filters{{Type: handler.User, Name: "kong"}}}}, journal.Config{},
			func(_ context.Context, e *handler.Event, attempt int) error {
				time.Sleep(time.Millisecond)
				switch {
				case e.LTime%5 == 2 && attempt < 3:
					return refused
				case e.LTime%5 == 3:
					return &target.PostError{Class: target.Bury, Status: 400}
				}
				return nil
			})
		var wanted []string
		for i := range uint64(50) {
			e := journals.User(i, "kong")
			journals.MustAppend(t, r.journal, e, journals.User(i, "other"))
			wanted = append(wanted, e.ID)
		}
		r.idle(t)
		testkit.Want(t, "order", slices.Compact(r.poster.attempts()), wanted)
		testkit.Want(t, "in flight at once", r.poster.most, 1)
		s := r.Status()
		testkit.Want(t, "counts", []uint64{s.Delivered, s.Retried, s.Buried, s.Lost, uint64(s.Waiting)}, []uint64{40, 20, 10, 0, 0})
	})
}

func TestDeliveryStopsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ *handler.Event, _ int) error { <-ctx.Done(); return ctx.Err() }
		r := start(t, Config{}, journal.Config{}, hang)
		journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
		synctest.Wait()
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "stopping took", time.Since(began), 0)
		testkit.Want(t, "delivered", r.Status().Delivered, 0)
		journals.MustAppend(t, r.journal, journals.User(3, ""))

		// The next delivery to the target begins with the event cut off.
		again, err := newDelivery(Config{Target: r.cfg.Target, Journal: r.journal}, &fakePoster{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- again.Run(ctx) }()
		if err := again.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "delivered by the next", again.Status().Delivered, 3)
	})
}

func TestDeliveryStopsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{MinBackoff: time.Hour, MaxBackoff: time.Hour}}, journal.Config{},
			func(context.Context, *handler.Event, int) error { return refused })
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		synctest.Wait()
		began := time.Now()
		r.stop()
		testkit.Want(t, "stopping took", time.Since(began), 0)
		testkit.Want(t, "waiting", r.Status().Waiting, 1)
	})
}

func TestDeliveryEndsWithItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(journal.Config{})
		d, err := newDelivery(Config{Target: target.Target{Name: "gw", URL: "http://h"}, Journal: j}, &fakePoster{})
		if err != nil {
			t.Fatal(err)
		}
		j.Close()
		if err := d.Run(t.Context()); !errors.Is(err, journal.ErrClosed) || !strings.Contains(err.Error(), "gw") {
			t.Errorf("%v", err)
		}
	})
}

func TestDeliveryIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := start(t, Config{}, journal.Config{}, func(ctx context.Context, _ *handler.Event, _ int) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		r.idle(t) // nothing yet: at once
		journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
		idle := make(chan error, 2)
		for range 2 {
			go func() { idle <- r.Idle(t.Context()) }()
		}
		for range 2 {
			synctest.Wait()
			if len(idle) > 0 {
				t.Fatal("idle with an event in flight")
			}
			release <- struct{}{}
		}
		synctest.Wait()
		testkit.Want(t, "waiters told", len(idle), 2)

		journals.MustAppend(t, r.journal, journals.User(3, ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestDeliveryHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		r := start(t, Config{
			OnDelivered: func(e handler.Event, took time.Duration) { got = append(got, fmt.Sprint(e.LTime, " took ", took)) },
			OnFailed: func(e handler.Event, err *target.PostError) {
				got = append(got, fmt.Sprint(e.LTime, " ", err.Class, " ", err))
			},
		}, journal.Config{}, func(_ context.Context, e *handler.Event, attempt int) error {
			time.Sleep(time.Second)
			switch {
			case e.LTime == 1 && attempt == 1:
				return refused
			case e.LTime == 2:
				return &target.PostError{Class: target.Bury, Status: 404}
			}
			return nil
		})
		journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
		r.idle(t)
		synctest.Wait()
		testkit.Want(t, "calls", got, []string{"1 retry connection refused", "1 took 1s", "2 bury answered 404 Not Found"})
	})
}

func TestNewDeliveryErrors(t *testing.T) {
	j := journal.New(journal.Config{})
	if _, err := New(Config{Target: target.Target{URL: "nonsense"}, Journal: j}); err == nil {
		t.Error("takes a bad target")
	}
	cfg := Config{Target: target.Target{Name: "gw", URL: "http://h"}, Journal: j}
	if _, err := New(cfg); err != nil {
		t.Error(err)
	}
	if _, err := New(cfg); !errors.Is(err, journal.ErrCursorInUse) || !strings.Contains(err.Error(), "gw") {
		t.Errorf("two of one name: %v", err)
	}
}

// Finish lets the attempt under way end and begins no other, so that its event
// does not come again from the next Delivery.
func TestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := journal.New(journal.Config{})
		p := &fakePoster{answer: func(ctx context.Context, e *handler.Event, attempt int) error {
			return backoff.Sleep(ctx, time.Second)
		}}
		d, err := newDelivery(Config{Target: target.Target{Name: "t", URL: "http://h/"}, Journal: m}, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Append(handler.NewUser(1, "a", nil, time.Now()), handler.NewUser(2, "b", nil, time.Now())); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- d.Run(t.Context()) }()
		time.Sleep(time.Second / 2)
		d.Finish()
		d.Finish()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if s := d.Status(); s.Delivered != 1 || s.Waiting != 1 {
			t.Errorf("%d delivered and %d waiting, want 1 and 1", s.Delivered, s.Waiting)
		}
	})
}
