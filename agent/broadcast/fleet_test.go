package broadcast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/memnet"
	"agentctl/agent/peers"
	"agentctl/scripts/testkit"
)

// fleet is a cluster of broadcasts with real links over a network in memory. Who is a
// member is the test's to say.
type fleet struct {
	t     *testing.T
	net   *memnet.Network
	nodes []*member

	mu   sync.Mutex
	gone map[string]bool // members that have failed
}

// member is an agent of a fleet.
type member struct {
	*Broadcast
	fleet *fleet
	name  string
	port  *memnet.Transport
	links *link.Links
	stop  func()

	mu       sync.Mutex
	got      []string // events, in the order in which they came
	late     int
	gossiped []string
}

func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(1 + i%250)}), 7946)
}

func nameOf(i int) string { return fmt.Sprintf("node-%03d", i) }

// newFleet makes a fleet of n agents and of some stock members, which are there in name
// only. know tells each agent of others.
func newFleet(t *testing.T, cfg memnet.Config, n, stock int, know func(m *member, i int)) *fleet {
	logger, _ := testkit.NewLog()
	f := &fleet{t: t, net: memnet.New(cfg), gone: map[string]bool{}}
	var all []serf.Member
	for i := range n + stock {
		m := serf.Member{Name: nameOf(i), Addr: net.IP(addrOf(i).Addr().AsSlice()), Port: 7946, Status: serf.StatusAlive}
		if i >= n {
			m.Name = fmt.Sprintf("stock-%03d", i-n)
		}
		all = append(all, m)
	}
	members := func() []serf.Member {
		f.mu.Lock()
		defer f.mu.Unlock()
		there := slices.Clone(all)
		for i := range there {
			if f.gone[there[i].Name] {
				there[i].Status = serf.StatusFailed
			}
		}
		return there
	}
	for i := range n {
		m := &member{fleet: f, name: nameOf(i), port: f.net.Add(addrOf(i).String())}
		f.nodes = append(f.nodes, m)
		ask := func(ctx context.Context, name string, req []byte) ([]byte, error) {
			to, ok := m.cfg.Peers.Member(name)
			if !ok {
				return nil, errors.New("no such member")
			}
			return m.links.Request(ctx, to, link.KindAgents, req)
		}
		p := peers.New(peers.Config{
			Self: m.name, Members: members, Links: true, Logger: logger, Ask: ask,
			Query: func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error) {
				return nil, errors.New("nobody hears it")
			},
			Shake:    func(ctx context.Context, to link.Peer) (bool, error) { return m.links.IsPeer(ctx, to) },
			OnAgents: func(names []string, told bool) { m.Agents(names, told) },
		})
		var err error
		m.links, err = link.New(link.Config{
			Name: m.name, Transport: m.port, Logger: logger, Features: []string{Feature},
			Deliver:  func(from link.Peer, msgs [][]byte) { m.Receive(from, msgs) },
			Behind:   func(to link.Peer, _ uint64, notPeer bool) { m.Behind(to.Name, notPeer) },
			Accepted: p.Heard, Opened: func(p link.Peer) { m.Opened(p) }, Lost: func(name string) { m.Lost(name) },
			Member:   p.At,
			Handlers: map[link.Kind]link.Handler{link.KindAgents: p.Answer},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		m.Broadcast = New(Config{
			Self: m.name, Members: members, Peers: p, Links: m.links, Logger: logger, Sending: ctx,
			Take: m.take, Linked: m.linked, Gossip: m.gossip,
		})
		var running sync.WaitGroup
		for _, run := range []func(context.Context) error{p.Run, m.links.Run, m.Run} {
			running.Go(func() { run(ctx) })
		}
		m.stop = func() { cancel(); running.Wait(); m.links.Transport().Shutdown() }
	}
	t.Cleanup(func() {
		for _, m := range f.nodes {
			m.stop()
		}
	})
	synctest.Wait()
	for i, m := range f.nodes {
		know(m, i)
	}
	return f
}

// everyone tells each agent of all others.
func everyone(m *member, _ int) {
	for _, other := range m.fleet.nodes {
		m.cfg.Peers.Told([]string{other.name})
	}
}

func (m *member) take(events []Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.got = append(m.got, string(e.Bytes))
		if e.Late {
			m.late++
		}
	}
}

func (m *member) linked(_ link.Peer, msgs [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, msg := range msgs {
		m.got = append(m.got, string(msg))
	}
}

func (m *member) gossip(events [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.gossiped = append(m.gossiped, string(e))
	}
}

func (m *member) events() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// kill ends an agent without a word. fail has all others see it fail.
func (f *fleet) kill(m *member) {
	f.net.Part(append(f.parted(), m.port.Addr().String())...)
	f.mu.Lock()
	f.gone[m.name+" stopped"] = true
	f.mu.Unlock()
}

func (f *fleet) parted() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.nodes {
		if f.gone[m.name+" stopped"] {
			all = append(all, m.port.Addr().String())
		}
	}
	return all
}

// publish has a node publish events, one after the other.
func (m *member) publish(first, n int) (all []string) {
	for i := first; i < first+n; i++ {
		e := fmt.Sprintf("%s %d", m.name, i)
		m.Send([]byte(e), []byte(e))
		all = append(all, e)
	}
	return all
}

// settled is how long links take to open, and lists to become the same.
const settled = 10 * time.Second
