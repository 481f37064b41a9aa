package link

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"sync"
	"testing"

	"agentctl/scripts/testkit"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// node is an agent's links in a test, and what came to them.
type node struct {
	*Links
	t       testing.TB
	peer    Peer // to reach it
	reg     *prometheus.Registry
	log     *testkit.LogBuffer
	stop    func() // ends Run and the transport, and waits
	process func() // ends Run only, and waits

	mu     sync.Mutex
	got    []string
	from   []Peer
	behind map[string]uint64
	// notPeer is what Behind was told of a node last.
	notPeer map[string]bool
}

// startNode runs links over a transport whose address is addr.
func startNode(t testing.TB, name, addr string, inner memberlist.NodeAwareTransport, change func(*Config)) *node {
	t.Helper()
	n := &node{t: t, peer: Peer{Name: name, Addr: addr}, reg: prometheus.NewRegistry(), log: new(testkit.LogBuffer), behind: make(map[string]uint64), notPeer: make(map[string]bool)}
	cfg := Config{
		Name: name, Transport: inner, Metrics: n.reg,
		Logger: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Deliver: func(from Peer, msgs [][]byte) Ack {
			n.mu.Lock()
			defer n.mu.Unlock()
			for _, m := range msgs {
				n.got = append(n.got, string(m))
				n.from = append(n.from, from)
			}
			return Ack{}
		},
		Behind: func(to Peer, dropped uint64, notPeer bool) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.behind[to.Name] += dropped
			n.notPeer[to.Name] = notPeer
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if n.Links, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	waitFor(t, "Run of "+name, func() bool {
		n.Links.mu.Lock()
		defer n.Links.mu.Unlock()
		return n.running
	})
	n.process = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run of %s: %v", name, err)
		}
	})
	n.stop = sync.OnceFunc(func() {
		n.process()
		if err := n.Transport().Shutdown(); err != nil {
			t.Errorf("Shutdown of %s: %v", name, err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// memNode runs the i-th node of a network in memory.
func memNode(t *testing.T, mem *memNet, i int, change func(*Config)) *node {
	t.Helper()
	inner := mem.add(i)
	return startNode(t, fmt.Sprintf("node%d", i), inner.Addr().String(), inner, change)
}

// loopback returns memberlist's own transport on a free port, and its address.
func loopback(t testing.TB) (*memberlist.NetTransport, string) {
	t.Helper()
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{"127.0.0.1"}, Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	return inner, fmt.Sprintf("127.0.0.1:%d", inner.GetAutoBindPort())
}

// netNode runs a node on loopback.
func netNode(t testing.TB, name string, change func(*Config)) *node {
	t.Helper()
	inner, addr := loopback(t)
	return startNode(t, name, addr, inner, func(c *Config) {
		c.handshakeTimeout, c.requestTimeout, c.streamTimeout = patience, patience, patience
		if change != nil {
			change(c)
		}
	})
}

// links is how many links are open, in each direction.
func (n *node) links() (out, in float64) {
	return n.metric("agentctl_link_open", "out"), n.metric("agentctl_link_open", "in")
}

// known is how many peers the sending side has an entry of.
func (n *node) known() int {
	n.Links.mu.Lock()
	defer n.Links.mu.Unlock()
	return len(n.peers)
}

// linkTo returns the link to a peer, or nil.
func (n *node) linkTo(name string) *link {
	n.Links.mu.Lock()
	defer n.Links.mu.Unlock()
	if p := n.peers[name]; p != nil && p.current().alive() {
		return p.current()
	}
	return nil
}

func (n *node) received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.got...)
}

// bySender returns what came, by the name of the sender.
func (n *node) bySender() map[string][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	got := make(map[string][]string)
	for i, from := range n.from {
		got[from.Name] = append(got[from.Name], n.got[i])
	}
	return got
}

func (n *node) behindBy(name string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.behind[name]
}

func (n *node) saidNoPeer(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.notPeer[name]
}

// send sends texts to one peer.
func (n *node) send(to Peer, msgs ...string) {
	n.t.Helper()
	for _, m := range msgs {
		if err := n.Broadcast([]Peer{to}, []byte(m)); err != nil {
			n.t.Errorf("Broadcast(%s, %.20q): %v", to.Name, m, err)
		}
	}
}

// metric sums a metric over its series that have all the label values.
func (n *node) metric(name string, values ...string) (sum float64) {
	families, err := n.reg.Gather()
	if err != nil {
		n.t.Error(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.Metric {
			for _, v := range values {
				if !hasLabel(m, v) {
					continue next
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func hasLabel(m *dto.Metric, value string) bool {
	for _, l := range m.Label {
		if l.GetValue() == value {
			return true
		}
	}
	return false
}

// pendingFor reports whether a peer has not acknowledged everything.
func (n *node) pendingFor(name string) bool {
	n.Links.mu.Lock()
	defer n.Links.mu.Unlock()
	p := n.peers[name]
	return p != nil && p.pending()
}
