package agent

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/intake"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
	"agentctl/scripts/testkit/serfnode"
)

// Where UDP is closed everywhere from the start, agents of ours find each other over
// TCP, and events go over links. A stock member gets few tries. The closed port is
// named until it is open.
func TestUDPThatIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, c := startWithGateway(t, serveHTTP), startWithGateway(t), startWithGateway(t)
		ours := []gatewayNode{a, b, c}
		stockLog := new(testkit.LogBuffer)
		events := make(chan serf.Event, 1000)
		stock := serfnode.New(t, memory.Network(t).Add(memory.Addr()), "stock", func(conf *serf.Config) {
			conf.MemberlistConfig.Logger, conf.EventCh = log.New(stockLog, "", 0), events
		})
		memory.Network(t).ClosePackets(a.GossipAddr(), b.GossipAddr(), c.GossipAddr(), stock.Addr)
		for _, n := range ours[1:] {
			if _, err := n.Join([]string{a.GossipAddr(), stock.Addr}, false); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range ours {
			testkit.WaitFor(t, "all members alive", func() bool { return n.countMembers("alive") == 4 })
			for _, other := range ours {
				if other.node != n.node {
					testkit.WaitFor(t, "peers to be found", func() bool { return n.peers.Is(other.opts.NodeName) })
				}
			}
		}
		awaitRoutes()
		want := a.publish(t, "over TCP", 100)
		for _, n := range ours {
			n.has(t, want)
		}
		for _, n := range ours[1:] {
			if got := n.took(t, intake.Link); got != len(want) {
				t.Errorf("%d of %d events came over a link", got, len(want))
			}
		}
		for i := range 30 { // one at a time, by each in turn: none waits for gossip
			begun := time.Now()
			want = append(want, ours[i%3].publish(t, fmt.Sprint("single ", i), 1)...)
			for _, n := range ours {
				n.has(t, want)
			}
			if took := time.Since(begun); took > 20*time.Millisecond {
				t.Errorf("event %d was at all gateways after %v, want milliseconds", i, took)
			}
		}
		testkit.WaitFor(t, "a stock member to be known not to get packets", func() bool { return a.members.packets.Silent("stock") })
		testkit.WaitFor(t, "the events so far to be sent to it", func() bool { return a.straight(t) == 110 })
		tcp := testkit.Counter(t, a.Metrics(), "agentctl_direct_messages_total", "tcp")
		for len(events) > 0 {
			<-events
		}
		begun := time.Now()
		a.publish(t, "to stock", 1)
		for {
			if e := <-events; e.EventType() == serf.EventUser && string(e.(serf.UserEvent).Payload) == "to stock 0" {
				break
			}
		}
		if took := time.Since(begun); took > time.Second || testkit.Counter(t, a.Metrics(), "agentctl_direct_messages_total", "tcp") != tcp+1 {
			t.Errorf("an event came to a stock member after %v, want it over TCP, before a full sync", took)
		}
		named := "seems closed, or that of this node, while TCP is open"
		var health api.HealthReport
		testkit.WaitFor(t, "the closed ports to be named", func() bool {
			status, body := a.get(t, "/readyz")
			health = api.HealthReport{}
			if err := json.Unmarshal(body, &health); err != nil || status != http.StatusOK {
				t.Fatalf("readyz: %d %v %s", status, err, body)
			}
			return len(health.Warnings) == 1 && strings.Contains(health.Warnings[0], named)
		})
		before := a.log.Count("UDP probes failed")
		for range 200 {
			for _, n := range ours {
				n.peers.Is("stock") // as with an event a second
			}
			time.Sleep(time.Second)
		}
		if n := stockLog.Count("Received invalid msgType (167)"); n < len(ours) || n > 3*len(ours) {
			t.Errorf("a stock member has %d lines about streams of ours, want one to three of each agent:\n%s", n, stockLog)
		}
		if n := a.log.Count("UDP probes failed") - before; n < 3 || n > 4 {
			t.Errorf("memberlist's warning came %d times in 200 s, want one a minute", n)
		}
		if n := a.log.Count(named); n < 3 || n > 5 {
			t.Errorf("the port is named %d times in 200 s, want once a minute", n)
		}
		memory.Network(t).ClosePackets()
		for _, n := range ours {
			testkit.WaitFor(t, "the end of the warning", func() bool { return n.members.packets.Warnings() == nil })
		}
	})
}

// Where only one node's port is closed, it finds the others and they find it.
func TestUDPThatIsClosedAtOneNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := startWithGateway(t), startWithGateway(t)
		memory.Network(t).ClosePackets(b.GossipAddr())
		join(t, a.node, b.node)
		for n, other := range map[gatewayNode]gatewayNode{a: b, b: a} {
			testkit.WaitFor(t, "the peer to be found", func() bool { return n.peers.Is(other.opts.NodeName) })
		}
		awaitRoutes()
		// Between two rounds of gossip: one at the very moment might be first.
		const round = 100 * time.Millisecond
		time.Sleep(round*3/2 - time.Duration(time.Now().Nanosecond())%round)
		for _, from := range []gatewayNode{a, b} {
			from.publish(t, "from "+from.opts.NodeName, 20)
		}
		for _, n := range []gatewayNode{a, b} {
			testkit.WaitFor(t, "all events", func() bool { return len(n.gw.Of("user")) == 40 })
			if got := n.took(t, intake.Link); got != 20 {
				t.Errorf("%d events came over a link, want 20", got)
			}
		}
	})
}
