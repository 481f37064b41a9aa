package agent

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/large"
	"agentctl/handler/delivery"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// Somebody sends references to large events that nobody has, for a while. An honest
// publisher's events reach the gateway as fast as ever meanwhile, beside some flushes,
// and the target is flushed at last.
func TestMadeUpReferencesDoNotHoldUpEvents(t *testing.T) {
	lasts := 20 * time.Second
	if testkit.Long() {
		lasts = time.Minute
	}
	for name, tt := range map[string]struct {
		links bool
		pause time.Duration // between two references
	}{
		"without links": {false, 200 * time.Millisecond},
		"with links":    {true, time.Second / 20},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				gw := memory.NewGateway(t)
				n := start(t, func(o *config.Options) {
					o.PeerLinks, o.EventHandlers, o.Gateway = tt.links, nil, gw.URL
				})
				other := start(t, func(o *config.Options) { o.PeerLinks = tt.links })
				join(t, n, other)
				time.Sleep(10 * time.Second)
				var took []time.Duration
				for end, i := time.Now().Add(lasts), 0; time.Now().Before(end); i++ {
					ref := large.Refer("kong", []byte(fmt.Sprint("forged", i)), other.opts.NodeName)
					m := gossip.Message{LTime: serf.LamportTime(n.serf.EventClock()), Name: large.EventName, Payload: ref.Encode()}
					raw, err := m.Encode()
					if err != nil {
						t.Fatal(err)
					}
					n.gossiped(t, raw)
					time.Sleep(tt.pause)
					if i%int(time.Second/tt.pause) > 0 {
						continue
					}
					payload, began := fmt.Sprint("honest", i), time.Now()
					publishTo(t, other, payload)
					for !slices.Contains(bodies(gw.Of("user")), payload) && time.Since(began) < time.Minute {
						time.Sleep(5 * time.Millisecond)
					}
					took = append(took, time.Since(began))
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				slices.Sort(took)
				s := n.Targets()[0]
				t.Logf("%d honest events: p50 %v, p99 %v, longest %v; %d flushes", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1], s.Flushes)
				if longest := took[len(took)-1]; longest > 2*time.Second {
					t.Errorf("an honest event took %v", longest)
				}
				if s.State != delivery.StateOK || s.Flushes == 0 || s.Flushes > 30 {
					t.Errorf("the target: %+v", s)
				}
			})
		})
	}
}
