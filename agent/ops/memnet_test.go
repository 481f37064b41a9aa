package ops

import (
	"net/http"
	"testing"
	"testing/synctest"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// bubble runs a test on its own clock and its own network. The clock stands still
// while a goroutine works, or waits for a mutex.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// client asks servers of the test's network. Its requests have a time limit, since a
// stream that brings nothing would keep the bubble's clock going for ever.
func client(t *testing.T) *http.Client {
	c := memory.Client(t)
	c.Timeout = testkit.Patience
	return c
}
