package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/backoff"
)

func TestDeliveryInOrderOneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: Target{Filters: Filters{{User, "kong"}}}}, MemoryConfig{},
			func(_ context.Context, e *Event, attempt int) error {
				time.Sleep(time.Millisecond)
				switch {
				case e.LTime%5 == 2 && attempt < 3:
					return refused
				case e.LTime%5 == 3:
					return &PostError{Class: Bury, Status: 400}
				}
				return nil
			})
		var wanted []string
		for i := range uint64(50) {
			e := user(i, "kong")
			mustAppend(t, r.journal, e, user(i, "other"))
			wanted = append(wanted, e.ID)
		}
		r.idle(t)
		want(t, "order", slices.Compact(r.poster.attempts()), wanted)
		want(t, "in flight at once", r.poster.most, 1)
		s := r.Status()
		want(t, "counts", []uint64{s.Delivered, s.Retried, s.Buried, s.Lost, uint64(s.Waiting)}, []uint64{40, 20, 10, 0, 0})
	})
}

func TestDeliveryBacksOffWithFullJitter(t *testing.T) {
	const attempts = 16
	ceilings := []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000}
	upperHalf, lowerHalf := 0, 0
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, DeliveryConfig{}, MemoryConfig{}, func(_ context.Context, _ *Event, attempt int) error {
				if attempt < attempts {
					return refused
				}
				return nil
			})
			mustAppend(t, r.journal, user(1, ""))
			r.idle(t)
			times := r.poster.times
			want(t, "attempts", len(times), attempts)
			for i := range attempts - 1 {
				ceiling := ceilings[min(i, len(ceilings)-1)] * time.Millisecond
				wait := times[i+1].Sub(times[i])
				if wait > ceiling {
					t.Errorf("waited %v after attempt %d, more than %v", wait, i+1, ceiling)
				}
				if wait > ceiling/2 {
					upperHalf++
				} else {
					lowerHalf++
				}
			}
		})
	}
	// 300 fair draws: fewer than 100 in a half has a chance below 1e-8.
	if upperHalf < 100 || lowerHalf < 100 {
		t.Errorf("%d waits above half of the ceiling and %d below", upperHalf, lowerHalf)
	}
}

func TestDeliveryHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{}, MemoryConfig{}, func(_ context.Context, _ *Event, attempt int) error {
			if attempt == 1 {
				return &PostError{Class: Retry, Status: 429, RetryAfter: time.Minute}
			}
			return nil
		})
		mustAppend(t, r.journal, user(1, ""))
		r.idle(t)
		want(t, "wait", r.poster.times[1].Sub(r.poster.times[0]), time.Minute)
	})
}

func TestDeliveryStopsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ *Event, _ int) error { <-ctx.Done(); return ctx.Err() }
		r := start(t, DeliveryConfig{}, MemoryConfig{}, hang)
		mustAppend(t, r.journal, user(1, ""), user(2, ""))
		synctest.Wait()
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		want(t, "stopping took", time.Since(began), 0)
		want(t, "delivered", r.Status().Delivered, 0)
		mustAppend(t, r.journal, user(3, ""))

		// The next delivery to the target begins with the event cut off.
		again, err := newDelivery(DeliveryConfig{Target: r.cfg.Target, Journal: r.journal}, &fakePoster{})
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
		want(t, "delivered by the next", again.Status().Delivered, 3)
	})
}

func TestDeliveryStopsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: Target{MinBackoff: time.Hour, MaxBackoff: time.Hour}}, MemoryConfig{},
			func(context.Context, *Event, int) error { return refused })
		mustAppend(t, r.journal, user(1, ""))
		synctest.Wait()
		began := time.Now()
		r.stop()
		want(t, "stopping took", time.Since(began), 0)
		want(t, "waiting", r.Status().Waiting, 1)
	})
}

func TestDeliveryEndsWithItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := NewMemory(MemoryConfig{})
		d, err := newDelivery(DeliveryConfig{Target: Target{Name: "gw", URL: "http://h"}, Journal: j}, &fakePoster{})
		if err != nil {
			t.Fatal(err)
		}
		j.Close()
		if err := d.Run(t.Context()); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "gw") {
			t.Errorf("%v", err)
		}
	})
}

func TestDeliveryIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := start(t, DeliveryConfig{}, MemoryConfig{}, func(ctx context.Context, _ *Event, _ int) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		r.idle(t) // nothing yet: at once
		mustAppend(t, r.journal, user(1, ""), user(2, ""))
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
		want(t, "waiters told", len(idle), 2)

		mustAppend(t, r.journal, user(3, ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestDeliveryRequeue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{}, MemoryConfig{}, nil)
		events := []Event{user(1, ""), user(2, ""), user(3, "")}
		mustAppend(t, r.journal, events...)
		r.idle(t)
		if err := r.Requeue(3, 2); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		want(t, "posted", r.poster.attempts(), []string{events[0].ID, events[1].ID, events[2].ID, events[1].ID, events[2].ID})
	})
}

func TestDeliveryHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		r := start(t, DeliveryConfig{
			OnDelivered: func(e Event, took time.Duration) { got = append(got, fmt.Sprint(e.LTime, " took ", took)) },
			OnFailed:    func(e Event, err *PostError) { got = append(got, fmt.Sprint(e.LTime, " ", err.Class, " ", err)) },
		}, MemoryConfig{}, func(_ context.Context, e *Event, attempt int) error {
			time.Sleep(time.Second)
			switch {
			case e.LTime == 1 && attempt == 1:
				return refused
			case e.LTime == 2:
				return &PostError{Class: Bury, Status: 404}
			}
			return nil
		})
		mustAppend(t, r.journal, user(1, ""), user(2, ""))
		r.idle(t)
		synctest.Wait()
		want(t, "calls", got, []string{"1 retry connection refused", "1 took 1s", "2 bury answered 404 Not Found"})
	})
}

func TestNewDeliveryErrors(t *testing.T) {
	j := NewMemory(MemoryConfig{})
	if _, err := NewDelivery(DeliveryConfig{Target: Target{URL: "nonsense"}, Journal: j}); err == nil {
		t.Error("takes a bad target")
	}
	cfg := DeliveryConfig{Target: Target{Name: "gw", URL: "http://h"}, Journal: j}
	if _, err := NewDelivery(cfg); err != nil {
		t.Error(err)
	}
	if _, err := NewDelivery(cfg); !errors.Is(err, ErrCursorInUse) || !strings.Contains(err.Error(), "gw") {
		t.Errorf("two of one name: %v", err)
	}
}

// Finish lets the attempt under way end and begins no other, so that its event
// does not come again from the next Delivery.
func TestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryConfig{})
		p := &fakePoster{answer: func(ctx context.Context, e *Event, attempt int) error {
			return backoff.Sleep(ctx, time.Second)
		}}
		d, err := newDelivery(DeliveryConfig{Target: Target{Name: "t", URL: "http://h/"}, Journal: m}, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Append(NewUser(1, "a", nil, time.Now()), NewUser(2, "b", nil, time.Now())); err != nil {
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

// There is a debug line for each delivery, and it must cost nothing while nobody
// wants it.
func TestDeliveryAllocatesNothingForALineThatNobodyWants(t *testing.T) {
	r := start(t, DeliveryConfig{}, MemoryConfig{}, nil) // its log is at INFO
	e := NewUser(1, strange, payload300, time.Now())
	if n := testing.AllocsPerRun(100, func() { r.logTaken(&e, 200, 1, time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if lines := r.log.with(t, ""); len(lines) > 0 {
		t.Errorf("%v", lines)
	}
}
