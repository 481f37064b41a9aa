package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDeliveryBacksOffWithFullJitter(t *testing.T) {
	const attempts = 16
	ceilings := []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000}
	upperHalf, lowerHalf := 0, 0
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, Config{}, journal.Config{}, func(_ context.Context, _ *handler.Event, attempt int) error {
				if attempt < attempts {
					return refused
				}
				return nil
			})
			journals.MustAppend(t, r.journal, journals.User(1, ""))
			r.idle(t)
			times := r.poster.times
			testkit.Want(t, "attempts", len(times), attempts)
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
		r := start(t, Config{}, journal.Config{}, func(_ context.Context, _ *handler.Event, attempt int) error {
			if attempt == 1 {
				return &target.PostError{Class: target.Retry, Status: 429, RetryAfter: time.Minute}
			}
			return nil
		})
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		r.idle(t)
		testkit.Want(t, "wait", r.poster.times[1].Sub(r.poster.times[0]), time.Minute)
	})
}
