package agent

import (
	"fmt"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/scripts/testkit/memory"
)

// Events of a burst share Lamport times, so that members keep up, and are told
// apart all the same: on the node that publishes and on others, also equal ones.
func TestSharedLamportTimesAreSeenByOthers(t *testing.T) {
	const events = 500
	for name, change := range map[string]func(*config.Options){
		"over links": func(*config.Options) {},
		"by gossip":  func(o *config.Options) { o.PeerLinks, o.DirectSend = false, false },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				memory.Delay(t, 0, 2*time.Millisecond)
				a, b := startWithGateway(t, change), startWithGateway(t, change)
				join(t, a.node, b.node)
				var want []string
				for i := range events {
					want = append(want, fmt.Sprint(i%7))
				}
				publishAll(t, a.Agent, want...)
				for _, n := range []gatewayNode{a, b} {
					n.has(t, want)
					ids, times := map[string]bool{}, map[uint64]int{}
					for rec, err := range n.journal.Events(0) {
						if err != nil {
							t.Fatal(err)
						}
						if e := rec.Event; e.Name == "e" {
							ids[e.ID] = true
							times[e.LTime]++
						}
					}
					if len(ids) != events || len(times) == events {
						t.Errorf("%s has %d events with %d Lamport times, want %d with fewer times", n.opts.NodeName, len(ids), len(times), events)
					}
					for l, count := range times {
						if count > 7 {
							t.Errorf("%d events have Lamport time %d, of which only 7 differ", count, l)
						}
					}
				}
			})
		})
	}
}
