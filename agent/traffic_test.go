package agent

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/intake"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// gatewayNode is an agent with a gateway that gets its user events.
type gatewayNode struct {
	*node
	gw *testkit.Gateway
}

func startWithGateway(t *testing.T, change ...func(*config.Options)) gatewayNode {
	t.Helper()
	gw := memory.NewGateway(t)
	return gatewayNode{start(t, append([]func(*config.Options){handlers("user:e=" + gw.URL)}, change...)...), gw}
}

// has waits until the gateway has these events, and no others.
func (n gatewayNode) has(t *testing.T, want []string) {
	t.Helper()
	testkit.WaitFor(t, fmt.Sprintf("the %d events at the gateway of %s", len(want), n.opts.NodeName), func() bool {
		return len(n.gw.Of("user")) >= len(want)
	})
	var got []string
	for _, p := range n.gw.Of("user") {
		got = append(got, p.Body)
	}
	slices.Sort(got) // gossip keeps no order
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("the gateway of %s got %d events, want each of %d once", n.opts.NodeName, len(got), len(want))
	}
}

// publish publishes n events, and returns their payloads.
func (n *node) publish(t *testing.T, label string, count int) (payloads []string) {
	t.Helper()
	for i := range count {
		payloads = append(payloads, fmt.Sprint(label, " ", i))
	}
	publishAll(t, n.Agent, payloads...)
	return payloads
}

// traffic publishes one event after another until it is told to stop, or the
// agent stops. What stop returns are the payloads of those that were taken.
func (n *node) traffic(t *testing.T, label string) (stop func() []string) {
	end, done := make(chan struct{}), make(chan struct{})
	var taken []string
	go func() {
		defer close(done)
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-pace.C:
			case <-end:
				return
			}
			payload := fmt.Sprint(label, " ", i)
			err := n.Publish(t.Context(), "e", []byte(payload), false)
			switch {
			case err == nil:
				taken = append(taken, payload)
			case errors.Is(err, intake.ErrStopping):
				return
			default:
				t.Errorf("publishing while others come and go: %v", err)
				return
			}
		}
	}()
	return func() []string {
		close(end)
		<-done
		return taken
	}
}

// findsPeer publishes until n knows another one as a peer, and waits for what it
// published; payloads are returned.
func (n *node) findsPeer(t *testing.T, label string, others ...*node) (payloads []string) {
	t.Helper()
	for _, other := range others {
		payloads = append(payloads, n.publish(t, label+" to find "+other.opts.NodeName, 1)...)
		testkit.WaitFor(t, other.opts.NodeName+" to be found to be a peer", func() bool { return n.peers.Is(other.opts.NodeName) })
	}
	awaitRoutes()
	return payloads
}

// awaitRoutes waits until the next event goes to those who are known now: members
// are listed anew after 100 ms.
func awaitRoutes() { <-time.After(110 * time.Millisecond) }

// onLinks counts messages on links: queued, acknowledged, and so on.
func (n *node) onLinks(t *testing.T, what string) int {
	return int(testkit.Counter(t, n.Metrics(), "agentctl_link_messages_total", what))
}

func (n *node) acknowledged(t *testing.T) int { return n.onLinks(t, "acknowledged") }

// straight is how many messages went straight to members.
func (n *node) straight(t *testing.T) int {
	return int(testkit.Counter(t, n.Metrics(), "agentctl_direct_messages_total", "udp") +
		testkit.Counter(t, n.Metrics(), "agentctl_direct_messages_total", "tcp"))
}

func encrypted(o *config.Options) { o.EncryptKey = oldKey }

func bind(addr string) func(*config.Options) { return func(o *config.Options) { o.Bind = addr } }
