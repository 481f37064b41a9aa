package cluster

import (
	"fmt"
	"slices"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// TestBurst publishes as fast as one client can. Every event is posted once on
// each node; on the node that publishes also in order.
func TestBurst(t *testing.T) {
	events := testkit.Setting(t, "AGENTCTL_TEST_BURST_EVENTS", 2000, 20000)
	var gateways []*stub.Gateway
	var nodes []*proc.Node
	for _, name := range []string{"here", "there", "elsewhere"} {
		gw, err := stub.NewGateway()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gw.Close)
		gateways = append(gateways, gw)
		args := []string{"-event-handler=user:kong=" + gw.URL(), "-log-level=info"}
		if len(nodes) > 0 {
			args = append(args, "-join="+nodes[0].Gossip)
		}
		nodes = append(nodes, proc.NewAgent(t, name, args...))
	}
	here := nodes[0]
	publish := proc.NewPublisher(t, here)
	var want []string
	event := func() {
		want = append(want, fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"%d"}}`, len(want)))
		publish(want[len(want)-1])
	}
	// What comes before they are found to be peers goes as to stock members, of
	// which a burst takes its time.
	testkit.WaitFor(t, "the others are linked", func() bool {
		event()
		return proc.Linked(t, here) == 2
	})
	for range events {
		event()
	}
	for i, gw := range gateways {
		for had := 0; had < len(want); had = gw.Count() { // a busy machine may take long for all
			testkit.WaitFor(t, fmt.Sprintf("more than %d of %d are posted at %s", had, len(want), nodes[i].Name), func() bool { return gw.Count() > had })
		}
		got := stub.Bodies(gw.Taken())
		if i > 0 {
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d events were posted, or in another order than the %d published", nodes[i].Name, len(got), len(want))
		}
		if got := proc.Metric(t, nodes[i], `agentctl_events_dropped_total{reason="intake_full"}`); got != 0 {
			t.Errorf("%s lost %v events", nodes[i].Name, got)
		}
	}
}
