package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/link"
	"agentctl/handler"
	"agentctl/scripts/testkit"
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

// Lamport times that no cluster counts up to come by one packet, by a link or by repair.
// They reach no gateway, no journal, no snapshot and no clock, and honest events go on,
// also after a restart. A message with such a time is counted and logged.
func TestMadeUpLamportTimes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		opts := []func(*config.Options){in(dir), named("watched"), bind(memory.Addr()), handlers("user:kong=" + gw.URL)}
		n, liar := start(t, opts...), bareSerf(t, "liar")
		if _, err := liar.Join([]string{n.GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
		publishTo(t, n, "first")
		for _, ltime := range []serf.LamportTime{1<<64 - 1, 1<<64 - 512, 1 << 63, handler.MaxLTime + 1} {
			raw, err := (&gossip.Message{LTime: ltime, Name: "kong", Payload: []byte("forged")}).Encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := liar.Memberlist().SendReliable(n.serf.Memberlist().LocalNode(), raw); err != nil {
				t.Fatal(err)
			}
			n.publisher.TakeLinked(link.Peer{Name: "liar"}, [][]byte{raw})
			if e := handler.NewUser(uint64(ltime), "kong", []byte("forged"), time.Now()); !n.unwanted(&e) {
				t.Errorf("repair would fetch an event of %d", ltime)
			}
		}
		testkit.WaitFor(t, "the line", func() bool { return n.log.Count("a message was refused: no cluster counts up") > 0 })
		publishTo(t, n, "second")
		testkit.WaitFor(t, "honest events", func() bool { return len(gw.Of("user")) == 2 })
		for way, of := range map[string]float64{"gossip": 4, "link": 4, "repair": 4} {
			testkit.WaitFor(t, "the refusals of "+way, func() bool {
				return testkit.CounterWith(t, n.Metrics(), "agentctl_lamport_refused_total", map[string]string{"way": way}) == of
			})
		}
		clock := n.serf.EventClock()
		if clock > 100 {
			t.Errorf("the clock is at %d", clock)
		}
		addr := n.GossipAddr()
		n.crash(t)
		n = start(t, append(opts, bind(addr))...)
		if c := n.serf.EventClock(); c > clock+1024 {
			t.Errorf("the clock was at %d, and begins at %d", clock, c)
		}
		publishTo(t, n, "third")
		testkit.WaitFor(t, "the third event", func() bool { return len(gw.Of("user")) == 3 })
		if diff := cmp.Diff([]string{"first", "second", "third"}, bodies(gw.Of("user"))); diff != "" {
			t.Errorf("posted (-want +got):\n%s", diff)
		}
	})
}
