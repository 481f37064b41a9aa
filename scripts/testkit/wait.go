package testkit

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to come. It is generous, since a
// busy machine must not fail a test; only a test that fails waits so long.
const Patience = 60 * time.Second

// WaitFor waits until a condition holds, and ends the test if it never does. It is
// for what no channel tells, and polls.
func WaitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !PollAt(Patience, 5*time.Millisecond, holds) {
		t.Fatalf("after %v still not so: %s", Patience, what)
	}
}

// Poll waits until a condition holds, and reports false if it never does.
func Poll(holds func() bool) bool { return PollFor(Patience, holds) }

// PollFor is Poll with a limit of its own.
func PollFor(limit time.Duration, holds func() bool) bool {
	return PollAt(limit, 20*time.Millisecond, holds)
}

// PollAt is PollFor that looks at intervals of its own.
func PollAt(limit, interval time.Duration, holds func() bool) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if holds() {
			return true
		}
		select {
		case <-tick.C:
		case <-late.C:
			return holds()
		}
	}
}

// SettleLimit is how long nothing may come before Settle gives up: it is enough for
// several full syncs, each 15 s after the last.
const SettleLimit = 2 * time.Minute

// Settle waits until nothing is left, however slow the machine is. It gives up once
// what is left has not shrunk for SettleLimit, and returns what is left.
func Settle(left func() int) int {
	for least := left(); least > 0; {
		n := least
		if !PollAt(SettleLimit, 200*time.Millisecond, func() bool { n = left(); return n < least }) {
			return n
		}
		least = n
	}
	return 0
}

// Pause waits for a random time below most, and tells whether ctx goes on.
func Pause(ctx context.Context, most time.Duration) bool {
	select {
	case <-time.After(rand.N(most)):
		return true
	case <-ctx.Done():
		return false
	}
}
