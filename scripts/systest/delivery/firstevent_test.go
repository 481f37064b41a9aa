package delivery

import (
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// TestAwayFromTheFirstEvent has an agent, whose journal has never held an event,
// be away while the cluster's first one is published: it gets it when it is back.
func TestAwayFromTheFirstEvent(t *testing.T) {
	first := newDurable(t, "node1")
	first.start(t)
	away := newDurable(t, "node2", "-retry-join="+first.gossip)
	away.start(t)
	testkit.WaitFor(t, "both know each other", func() bool { return proc.Alive(t, first.Node) == 2 && proc.Alive(t, away.Node) == 2 })
	away.mustDie(t)
	proc.NewPublisher(t, first.Node)("while node2 was away")
	away.start(t)
	testkit.WaitFor(t, "the event is posted", func() bool { return len(away.gw.Taken()) == 1 })
}
