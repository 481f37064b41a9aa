package link

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience is how long a test without a bubble waits for what has to come.
const patience = time.Minute

// bubble runs a test on its own clock. Yamux keeps timers in a pool, and one
// that comes from another bubble, or from none, panics when it is used.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	emptyPools()
	defer emptyPools()
	synctest.Test(t, test)
}

// emptyPools takes two collections: what the first finds in a pool, it keeps.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// waitFor polls until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(patience)
	for !cond() {
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// wantMessages fails unless exactly these came, in this order.
func wantMessages(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("received %d messages, %.200q; want %d, %.200q", len(got), got, len(want), want)
	}
}

// numbered returns n messages that differ.
func numbered(n int) []string {
	msgs := make([]string, n)
	for i := range msgs {
		msgs[i] = fmt.Sprint("message ", i)
	}
	return msgs
}
