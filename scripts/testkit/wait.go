package testkit

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what has to come; only a test that fails
// waits so long.
const Patience = 60 * time.Second

// WaitFor polls until a condition holds, for what no channel tells.
func WaitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(Patience)
	for !holds() {
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}
