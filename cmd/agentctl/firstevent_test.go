package main

import "testing"

// TestAwayFromTheFirstEvent has an agent, whose journal has never held an event,
// be away while the cluster's first one is published: it gets it when it is back.
func TestAwayFromTheFirstEvent(t *testing.T) {
	t.Parallel()
	first := newDurable(t, "node1")
	first.start(t)
	away := newDurable(t, "node2", "-retry-join="+first.gossip)
	away.start(t)
	eventually(t, "both know each other", func() bool { return alive(t, first.node) == 2 && alive(t, away.node) == 2 })
	away.mustDie(t)
	newPublisher(t, first.node)("while node2 was away")
	away.start(t)
	eventually(t, "the event is posted", func() bool { return len(away.gw.taken()) == 1 })
}
