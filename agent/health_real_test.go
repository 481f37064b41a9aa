package agent

import (
	"slices"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// A lock that the agent cannot do without is looked at, too. In real time, since the
// clock of a bubble stands still while somebody waits for a lock.
func TestHealthzLooksAtTheLocks(t *testing.T) {
	t.Parallel()
	n := start(t, handlers("user:kong=http://"+memory.Addr()))
	testkit.WaitFor(t, "all to answer", func() bool { return len(n.stuck(t)) == 0 })
	n.sinks.mu.Lock()
	const reason = "the delivery of a target does not say how it stands"
	testkit.WaitFor(t, reason, func() bool { return slices.Contains(n.stuck(t), reason) })
	n.sinks.mu.Unlock()
	testkit.WaitFor(t, "all to answer again", func() bool { return len(n.stuck(t)) == 0 })
}
