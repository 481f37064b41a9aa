package delivery

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// TestRollingRestart restarts each of three agents, one after the other, while 20
// events a second are published: by a stop that is asked for, and by kill -9. Each
// gateway gets all events. It gets none twice, but after a kill those that were on their
// way to it: posted in the first life, with an answer that the agent had no time
// to write down.
func TestRollingRestart(t *testing.T) {
	some := testkit.Setting(t, "AGENTCTL_TEST_ROLLING_EVENTS", 8, 40)
	for _, how := range []struct {
		name     string
		signal   syscall.Signal
		inFlight bool
	}{{"stop", syscall.SIGTERM, false}, {"kill", syscall.SIGKILL, true}} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel() // most of the time it waits for members
			nodes := []*durable{newDurable(t, "a"), newDurable(t, "b"), newDurable(t, "c")}
			for i, d := range nodes {
				for k, other := range nodes {
					if k != i {
						d.args = append(d.args, "-retry-join="+other.gossip)
					}
				}
				d.start(t)
			}
			whole := func() bool {
				for _, d := range nodes {
					if proc.Alive(t, d.Node) != len(nodes) {
						return false
					}
				}
				return true
			}
			testkit.WaitFor(t, "three members", whole)
			var published []string
			publish := func(at *durable, count int) {
				p := rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: at.RPC}})
				defer p.Close()
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for range count {
					<-tick.C
					payload := fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"%d"}}`, len(published))
					if err := p.Publish(t.Context(), "kong", []byte(payload), false); err != nil {
						t.Fatalf("publishing: %v", err)
					}
					published = append(published, payload)
				}
			}
			for i, d := range nodes {
				other := nodes[(i+1)%len(nodes)]
				publish(other, some)
				if err := d.Cmd.Process.Signal(how.signal); err != nil {
					t.Fatal(err)
				}
				publish(other, some)
				testkit.WaitFor(t, "the end of "+d.name, d.Ended)
				d.start(t)
				publish(other, 2*some)
				testkit.WaitFor(t, "three members again", whole)
			}
			publish(nodes[0], 2*some)
			twice := 0
			for _, d := range nodes {
				if left := testkit.Settle(func() int { return len(missing(d.gw, published)) }); left > 0 {
					t.Errorf("%s lacks %d of %d events", d.name, left, len(published))
				}
			}
			time.Sleep(3 * time.Second) // for what may come again
			for _, d := range nodes {
				lives := map[string][]string{}
				for _, p := range d.gw.Taken() {
					body := string(p.Body)
					if lives[body] = append(lives[body], p.Header.Get(lifeHeader)); len(lives[body]) > 1 {
						twice++
						if !how.inFlight || len(lives[body]) > 2 || lives[body][0] == lives[body][1] {
							t.Errorf("%s got %s in lives %q", d.name, body, lives[body])
						}
					}
				}
			}
			// One event at a time is posted to each, and the last few are written together.
			if most := 5 * len(nodes); twice > most {
				t.Errorf("%d events came twice, more than %d could be on their way", twice, most)
			}
			t.Logf("SUMMARY three agents restarted by %v under 20 events a second: %d events, each at all three; %d came twice",
				how.signal, len(published), twice)
		})
	}
}
