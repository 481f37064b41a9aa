package cluster

import (
	"fmt"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// testBurstAtAStockMember publishes at a stock member faster than gossip tells of it, so
// that the oldest events come more than 512 Lamport times late. Serf drops those, and
// half of 1,500 is what a script would get. The gateway gets all, and is not flushed:
// there is one member to hear of them, which hears of each.
func testBurstAtAStockMember(t *testing.T) {
	events := testkit.Setting(t, "AGENTCTL_TEST_STOCK_BURST_EVENTS", 1500, 3000)
	for _, version := range []string{stock.V081, stock.V011} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			gw, err := stub.NewGateway()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(gw.Close)
			there := proc.NewStock(t, "stock", version, "-event-handler=user=sleep 0.08", "-log-level=err")
			here := proc.NewAgent(t, "here", "-event-handler=user:kong="+gw.URL(), "-join="+there.Gossip)
			publish := proc.NewPublisher(t, there)
			publish("first")
			testkit.WaitFor(t, "the first event", func() bool { return gw.Count() == 1 })
			for n := range events {
				publish(fmt.Sprint("event ", n))
			}
			testkit.WaitFor(t, "an event that serf finds too old", func() bool {
				return proc.Metric(t, here, `agentctl_events_received_total{type="user",way="gossip"}`) > 513
			})
			for had := 0; had <= events; had = gw.Count() { // a busy machine may take long for all
				testkit.WaitFor(t, fmt.Sprintf("more than %d of %d events", had, events+1), func() bool { return gw.Count() > had })
			}
			bodies := map[string]int{}
			for _, body := range stub.Bodies(gw.Taken()) {
				bodies[body]++
			}
			for body, n := range bodies {
				if n != 1 {
					t.Errorf("%q was posted %d times", body, n)
				}
			}
			if len(bodies) != events+1 {
				t.Errorf("%d different posts, want %d", len(bodies), events+1)
			}
		})
	}
}
