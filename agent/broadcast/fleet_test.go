package broadcast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
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

	dials atomic.Int64 // of stock members

	mu    sync.Mutex
	stock map[string][]string // what was sent straight to each
}

func (f *fleet) SendReliable(to *memberlist.Node, msg []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stock[to.Name] = append(f.stock[to.Name], string(msg))
	return nil
}

func (f *fleet) SendBestEffort(to *memberlist.Node, msg []byte) error { return f.SendReliable(to, msg) }

// member is an agent of a fleet.
type member struct {
	*Broadcast
	fleet *fleet
	name  string
	port  *memnet.Transport
	links *link.Links
	stop  func()
	block atomic.Pointer[chan struct{}] // while it is set, take waits for its end

	mu       sync.Mutex
	failed   map[string]bool // members that it sees as failed
	got      []string        // events, in the order in which they came
	held     int
	gossiped []string
}

func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(1 + i%250)}), 7946)
}

func nameOf(i int) string { return fmt.Sprintf("node-%03d", i) }

// newFleet makes a fleet of some agents, of some that know of no trees, and of some stock
// members, which only take what is sent straight to them. know tells each agent of others.
func newFleet(t *testing.T, agents, former, stock int, know func(m *member, i int)) *fleet {
	n := agents + former
	cfg := memnet.Config{MinDelay: time.Millisecond / 5, MaxDelay: time.Millisecond}
	logger, _ := testkit.NewLog()
	f := &fleet{t: t, net: memnet.New(cfg), stock: map[string][]string{}}
	var all []serf.Member
	for i := range n + stock {
		m := serf.Member{Name: nameOf(i), Addr: net.IP(addrOf(i).Addr().AsSlice()), Port: 7946, Status: serf.StatusAlive}
		if i >= n {
			m.Name = fmt.Sprintf("stock-%03d", i-n)
			f.refuse(addrOf(i))
		}
		all = append(all, m)
	}
	for i := range n {
		m := &member{fleet: f, name: nameOf(i), port: f.net.Add(addrOf(i).String()), failed: map[string]bool{}}
		f.nodes = append(f.nodes, m)
		members := func() []serf.Member {
			m.mu.Lock()
			defer m.mu.Unlock()
			there := slices.Clone(all)
			for i := range there {
				if m.failed[there[i].Name] {
					there[i].Status = serf.StatusFailed
				}
			}
			return there
		}
		ask := func(ctx context.Context, name string, req []byte) ([]byte, error) {
			to, ok := m.cfg.Peers.Member(name)
			if !ok {
				return nil, errors.New("no such member")
			}
			return m.links.Request(ctx, to, link.KindAgents, req)
		}
		pc := peers.Config{
			Self: m.name, Members: members, Links: true, Logger: logger, FullyLinked: fullyLinked,
			Query: func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error) {
				return nil, errors.New("nobody hears it")
			},
			Shake: func(ctx context.Context, to link.Peer) (bool, error) { return m.links.IsPeer(ctx, to) },
		}
		features, handlers := []string(nil), map[link.Kind]link.Handler{}
		if i < agents {
			features, pc.Ask = []string{Feature}, ask
			pc.OnAgents = func(names []string, told bool) { m.Agents(names, told) }
			pc.OnNoAgent = func(name string) { m.NoAgent(name) }
		}
		p := peers.New(pc)
		opened := func(to link.Peer) { p.Found(to.Name) }
		if i < agents {
			handlers[link.KindAgents] = p.Answer
			opened = func(to link.Peer) { m.Opened(to) }
		}
		var err error
		m.links, err = link.New(link.Config{
			Name: m.name, Transport: m.port, Logger: logger, Features: features,
			Deliver:  func(from link.Peer, msgs [][]byte) link.Ack { return m.Receive(from, msgs) },
			Behind:   func(to link.Peer, _ uint64, notPeer bool) { m.Behind(to.Name, notPeer) },
			Accepted: p.Heard, Opened: opened, Lost: func(name string, notPeer bool) { m.Lost(name, notPeer) },
			Member:   p.At,
			Handlers: handlers,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		m.Broadcast = New(Config{
			Self: m.name, Members: members, Peers: p, Links: m.links, Logger: logger, Sending: ctx, FullyLinked: fullyLinked,
			Take: m.take, Linked: m.linked, Gossip: m.gossip,
		})
		m.direct = newDirect(f, 1400, nil, nil)
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

// refuse closes each stream to an address, as a stock member does with one that it does not
// understand.
func (f *fleet) refuse(addr netip.AddrPort) {
	port := f.net.Add(addr.String())
	done := make(chan struct{})
	f.t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case conn := <-port.StreamCh():
				f.dials.Add(1)
				conn.Close()
			case <-done:
				return
			}
		}
	}()
}

// everyone tells each agent of all others.
func everyone(m *member, _ int) {
	var names []string
	for _, other := range m.fleet.nodes {
		names = append(names, other.name)
	}
	m.cfg.Peers.Told(names)
}

// straight is what was sent straight to a stock member, in order of the text.
func (f *fleet) straight(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.stock[name]))
}

func (m *member) take(events []Message) {
	if block := m.block.Load(); block != nil {
		<-*block
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.got = append(m.got, string(e.Bytes))
		if e.Held {
			m.held++
		}
		m.Serve(e.Bytes, e.Bytes)
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

// sees has an agent see others fail, or be alive again.
func (m *member) sees(others []*member, typ serf.EventType) {
	e := serf.MemberEvent{Type: typ}
	m.mu.Lock()
	for _, o := range others {
		if o != m {
			m.failed[o.name] = typ == serf.EventMemberFailed
			e.Members = append(e.Members, serf.Member{Name: o.name})
		}
	}
	m.mu.Unlock()
	m.Changed(e)
}

// see has some agents see others fail, or be alive again.
func see(some, others []*member, typ serf.EventType) {
	for _, m := range some {
		m.sees(others, typ)
	}
}

func addrs(members []*member) (all []string) {
	for _, m := range members {
		all = append(all, m.port.Addr().String())
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
