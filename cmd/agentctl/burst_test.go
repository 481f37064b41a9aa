package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// burstWait is how long the node that does not publish is watched.
const burstWait = 30 * time.Second

// TestBurst publishes as fast as one client can. On the node that publishes
// every event is posted, in order. The other one depends on what gossip
// brings, which in a burst is not everything: that share is logged.
func TestBurst(t *testing.T) {
	t.Parallel()
	const events = 500
	var gateways []*gateway
	for range 2 {
		gw, err := newGateway()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gw.close)
		gateways = append(gateways, gw)
	}
	here := newAgent(t, "here", "-event-handler=user:kong="+gateways[0].url())
	there := newAgent(t, "there", "-event-handler=user:kong="+gateways[1].url(), "-join="+here.gossip)
	eventually(t, "the two know each other", func() bool {
		return members(t, "agentctl", here)["there"].Status == "alive" && members(t, "agentctl", there)["here"].Status == "alive"
	})

	publish := newPublisher(t, here)
	var want []string
	for i := range events {
		want = append(want, fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"%d"}}`, i))
		publish(want[i])
	}
	eventually(t, "all are posted on the node that publishes", func() bool { return len(gateways[0].taken()) >= events })
	if got := bodies(gateways[0].taken()); !slices.Equal(got, want) {
		t.Errorf("%d events were posted where they were published, or in another order than the %d published", len(got), events)
	}

	// Gossip is given some time, though not all that it would take: whether
	// everything comes is not asserted.
	pollFor(burstWait, func() bool { return len(gateways[1].taken()) >= events })
	seen := map[string]int{}
	taken := gateways[1].taken()
	for _, p := range taken {
		if seen[string(p.body)]++; seen[string(p.body)] > 1 {
			t.Errorf("posted twice: %s", p)
		}
		if !slices.Contains(want, string(p.body)) {
			t.Errorf("posted, though never published: %s", p)
		}
	}
	t.Logf("the other node posted %d of %d events within %v", len(taken), events, burstWait)
	warned := 0
	for line := range strings.Lines(there.printed()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			if warned++; warned <= 3 {
				t.Logf("its log: %s", strings.TrimSpace(line))
			}
		}
	}
	t.Logf("its log has %d warnings", warned)
}
