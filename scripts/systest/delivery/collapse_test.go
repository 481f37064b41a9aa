package delivery

import (
	"fmt"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// TestCollapse has a gateway be away while ten entities are updated thousands of
// times: a few dozen POSTs bring it up to date, and of each entity the last one
// comes after its last update.
func TestCollapse(t *testing.T) {
	const entities, few = 10, 100
	updates := testkit.Setting(t, "AGENTCTL_TEST_COLLAPSE_UPDATES", 3000, 10_000)
	gw, err := stub.NewGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	n := proc.NewAgent(t, "collapsing", "-gateway="+gw.URL())
	testkit.WaitFor(t, "the gateway is told of its own node", func() bool { return len(gw.Taken()) == 1 })
	publish := proc.NewPublisher(t, n)
	published := map[string]time.Time{} // when the last update of each was begun to be
	gw.Refuse()
	for i := range updates {
		if i == updates-2*entities { // so that some come while it is brought up to date
			if err := gw.Answer(200); err != nil {
				t.Fatal(err)
			}
		}
		payload := fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"%d"}}`, i%entities)
		published[payload] = time.Now()
		publish(payload)
	}
	testkit.WaitFor(t, "nothing waits", func() bool { return proc.StatusOf(t, n).Waiting == 0 })
	posts := gw.TakenUser()
	last := map[string]time.Time{}
	for _, p := range posts {
		last[string(p.Body)] = p.At
	}
	for payload, at := range published {
		if !last[payload].After(at) {
			t.Errorf("the last POST of %s came at %v, before its last update at %v", payload, last[payload], at)
		}
	}
	s := proc.StatusOf(t, n)
	t.Logf("SUMMARY %d updates of %d entities, all but the last with the gateway away, became %d POSTs", updates, entities, len(posts))
	if len(posts) > few || s.Collapsed < uint64(updates-few) || s.Lost != 0 {
		t.Errorf("%d POSTs, want at most %d; %d events were joined to another, %d lost", len(posts), few, s.Collapsed, s.Lost)
	}
}
