package agent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// Events that no member has leave a hole in the Lamport times. Beside a stock member each
// gateway is flushed once for a spread of holes. It is not flushed while members may
// still send the events, nor for an absurd time, nor where all members are ours.
func TestAHoleInTheLamportTimesIsFlushedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		stock   bool
		times   []uint64
		flushes uint64
	}{
		"none":         {true, []uint64{1, 2, 3}, 0},
		"holes":        {true, []uint64{2, 5, 900}, 1},
		"an absurd":    {true, []uint64{1 << 40}, 0},
		"of ours only": {false, []uint64{2, 5, 900}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				gw := memory.NewGateway(t)
				a, b := start(t, func(o *config.Options) { o.EventHandlers, o.Gateway = nil, gw.URL }), start(t)
				join(t, a, b)
				if tt.stock {
					if _, err := bareSerf(t, "stock").Join([]string{a.GossipAddr()}, false); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute) // all know who is a peer, and have met for long
				for _, ltime := range tt.times {
					m := gossip.Message{LTime: serf.LamportTime(ltime), Name: "kong", Payload: fmt.Append(nil, ltime)}
					raw, err := m.Encode()
					if err != nil {
						t.Fatal(err)
					}
					b.serf.Inject(raw)
				}
				testkit.WaitFor(t, "the events", func() bool { return len(gw.Of("user")) == len(tt.times) })
				time.Sleep(time.Second)
				synctest.Wait()
				if n := a.Targets()[0].Flushes; n > 0 {
					t.Errorf("%d flushes at once", n)
				}
				time.Sleep(5 * time.Minute) // of which each may bring one more flush
				synctest.Wait()
				if s := a.Targets()[0]; uint64(s.Flushes) != tt.flushes || !s.GapSince.IsZero() {
					t.Errorf("%d flushes, want %d; the gap is since %v", s.Flushes, tt.flushes, s.GapSince)
				}
			})
		})
	}
}
