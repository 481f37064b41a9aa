package broadcast

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/agent/link"
	"agentctl/agent/plumtree"

	"github.com/hashicorp/serf/serf"
)

// fullyLinked is up to how many agents have links to all in these tests, and large is how
// many a fleet has: a few more, so that trees are no longer of all either.
const fullyLinked, large = 16, plumtree.MaxFull + 2

// of are the events of a publisher among others.
func of(events []string, m *member) []string {
	return slices.DeleteFunc(events, func(e string) bool { return !strings.HasPrefix(e, m.name+" ") })
}

// In a large cluster the events of each publisher come to every node once, in their order,
// over few links, and gossip carries none of them.
func TestEventsGoAlongTrees(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, everyone)
		time.Sleep(settled)
		f.nodes[20].publish(0, 1)
		time.Sleep(50 * time.Millisecond)
		late := 0 // digests are acknowledged late, and nobody waits for that
		for _, m := range f.nodes {
			if n := m.Waiting(); n > 0 {
				t.Errorf("%s waits for %d messages", m.name, n)
			}
			late += len(m.links.Stuck(0))
			m.mu.Lock()
			m.got, m.held = nil, 0
			m.mu.Unlock()
		}
		if late < large {
			t.Errorf("digests over %d links are not acknowledged", late)
		}
		publishers := []*member{f.nodes[7], f.nodes[31]}
		sent := [][]string{publishers[0].publish(0, 100), publishers[1].publish(0, 100)}
		time.Sleep(settled)
		for _, m := range f.nodes {
			for i, p := range publishers {
				want := sent[i]
				if m == p {
					want = nil // it has its own already
				}
				if got := of(m.events(), p); !slices.Equal(got, want) {
					t.Fatalf("%s has %d events of %s, not %d in their order: %q", m.name, len(got), p.name, len(want), got[:min(len(got), 9)])
				}
			}
			if n := len(m.got); m.held != n || len(m.gossiped) > 0 {
				t.Errorf("%s holds back %d of %d events, and has gossip carry %d", m.name, m.held, n, len(m.gossiped))
			}
			if n := m.neighbours(); n < 10 || n > plumtree.MaxLinks {
				t.Errorf("%s has %d neighbours", m.name, n)
			}
		}
		strangers(t, f)
	})
}

// strangers has messages come of who is no member, or of a member from elsewhere: they go
// nowhere.
func strangers(t *testing.T, f *fleet) {
	m := f.nodes[0]
	before, got := m.neighbours(), len(m.events())
	event := append([]byte{treeByte}, "\x01\x00\x00\x00\x01x\x01\x01p"...)
	for _, from := range []link.Peer{{Name: "stranger", Addr: "10.0.0.1:99"}, {Name: nameOf(1), Addr: "10.9.9.9:99"}, {Name: nameOf(1)}} {
		m.sees(f.nodes[1:2], serf.EventMemberFailed) // so that it is no neighbour
		m.sees(f.nodes[1:2], serf.EventMemberJoin)
		m.Receive(from, [][]byte{slices.Clone(event)})
	}
	if n := len(m.events()); n != got || m.neighbours() > before {
		t.Errorf("%d events more, %d neighbours", n-got, m.neighbours())
	}
	m.Receive(link.Peer{Name: nameOf(1), Addr: f.nodes[1].port.Addr().String()}, [][]byte{slices.Clone(event)})
	time.Sleep(time.Second)
	if got := m.events(); got[len(got)-1] != "p" {
		t.Errorf("the event of a member did not come: %q", got)
	}
}

func (m *member) neighbours() int {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	return len(m.tree.up)
}

// Agents that know of one or two others each find all by comparing their lists.
func TestListsOfAgentsBecomeTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, func(m *member, i int) { m.cfg.Peers.Heard(nameOf((i + 1) % large)) })
		time.Sleep(time.Minute)
		for _, m := range f.nodes {
			agents, former, rest := m.cfg.Peers.Sort(m.cfg.Members())
			if len(agents) != large-1 || len(former) != 0 || len(rest) != 1 {
				t.Errorf("%s knows of %d agents; %d others", m.name, len(agents), len(former)+len(rest)-1)
			}
		}
		sent := f.nodes[0].publish(0, 10)
		time.Sleep(settled)
		for _, m := range f.nodes[1:] {
			if got := m.events(); !slices.Equal(got, sent) {
				t.Errorf("%s has %q", m.name, got)
			}
		}
	})
}

// Each member that takes no part in trees gets every event from two agents, and no gossip
// is held back while one is alive: stock members, of which others say at first that one is
// an agent, and agents of a former version, in order.
func TestOtherMembersAreServedByTwoAgents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 2, 4, func(m *member, i int) {
			if i >= large {
				return
			}
			everyone(m, i)
			m.cfg.Peers.Told([]string{"stock-000"})
		})
		first := f.nodes[3].publish(0, 5)
		time.Sleep(settled)
		sent := f.nodes[3].publish(5, 5)
		time.Sleep(settled)
		_, said, _ := f.nodes[20].Trees()
		if len(said) != 6 {
			t.Errorf("an agent says of %d members who serves them", len(said))
		}
		for _, s := range said {
			got := f.straight(s.Member)
			if got == nil {
				got = f.nodes[slices.IndexFunc(f.nodes, func(m *member) bool { return m.name == s.Member })].events()
			}
			got = slices.DeleteFunc(got, func(e string) bool { return slices.Contains(first, e) })
			var once []string
			for _, e := range got {
				if !slices.Contains(once, e) {
					once = append(once, e)
				}
			}
			if len(s.By) != 2 || !slices.Equal(once, sent) || len(got) != 2*len(sent) {
				t.Errorf("%s, served by %q, has %q", s.Member, s.By, got)
			}
		}
		if n := f.dials.Load(); n == 0 || n > 3*large {
			t.Errorf("stock members were dialed %d times", n)
		}
		for _, m := range f.nodes[:large] {
			if got := m.events(); m != f.nodes[3] && !slices.Equal(got, slices.Concat(first, sent)) {
				t.Errorf("%s has %q", m.name, got)
			}
		}
	})
}

// A publisher that dies as soon as its first neighbours have an event, and with it those
// neighbours that others wait for: all that live get the event, along the trees or by gossip.
func TestNodesThatDieInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, everyone)
		time.Sleep(settled)
		sent := f.nodes[0].publish(0, 10)
		time.Sleep(time.Millisecond) // one hop
		dead := f.nodes[:6]
		f.net.Part(addrs(dead)...)
		time.Sleep(3 * time.Second)
		see(f.nodes, dead, serf.EventMemberFailed)
		time.Sleep(2 * settled)
		somebody := slices.ContainsFunc(f.nodes[6:], func(m *member) bool { return len(m.events()) > 0 })
		for _, m := range f.nodes[6:] {
			if got := m.events(); somebody && !slices.Equal(got, sent) {
				t.Errorf("%s has %q", m.name, got)
			}
		}
		if !somebody {
			t.Error("nobody has an event: the test is of nothing")
		}
	})
}

// The parts of a cluster that was split have each their own events, one along trees and one
// over links to all. After the heal trees go through both.
func TestACutHeals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large+4, 0, 0, everyone)
		time.Sleep(settled)
		half, other := f.nodes[:large], f.nodes[large:]
		f.net.Part(addrs(half)...)
		see(half, other, serf.EventMemberFailed)
		see(other, half, serf.EventMemberFailed)
		time.Sleep(settled)
		a, b := half[0].publish(0, 5), other[0].publish(0, 5)
		time.Sleep(settled)
		for _, m := range half[1:] {
			if got := m.events(); !slices.Equal(got, a) {
				t.Errorf("%s has %q while the cluster is split", m.name, got)
			}
		}
		for _, m := range other[1:] {
			if got := m.events(); !slices.Equal(got, b) {
				t.Errorf("%s has %q while the cluster is split", m.name, got)
			}
		}
		f.net.Part()
		see(half, other, serf.EventMemberJoin)
		see(other, half, serf.EventMemberJoin)
		half[1].cfg.Peers.Heard(other[1].name) // as by a question
		time.Sleep(time.Minute)
		c := half[0].publish(5, 5)
		time.Sleep(settled)
		for _, m := range f.nodes[1:] {
			if got := of(m.events(), half[0]); !slices.Equal(got[max(0, len(got)-5):], c) {
				t.Errorf("%s has %q after the heal", m.name, got)
			}
		}
	})
}

// A node whose intake takes nothing acknowledges nothing. Its neighbours do without it after
// some seconds, and all others get every event in order. Once it is well, it gets all of them
// in order too, and is everybody's neighbour again.
func TestANodeThatIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, everyone)
		time.Sleep(settled)
		stuck := f.nodes[5]
		having := func() (n int) { // nodes that have it for a neighbour
			for _, m := range f.nodes {
				m.tree.mu.Lock()
				if _, up := m.tree.up[stuck.name]; up {
					n++
				}
				m.tree.mu.Unlock()
			}
			return n
		}
		before := having()
		block := make(chan struct{})
		stuck.block.Store(&block)
		var sent []string
		for i := range 60 {
			sent = append(sent, f.nodes[0].publish(i, 1)...)
			time.Sleep(100 * time.Millisecond)
		}
		if n := having(); n == before {
			t.Errorf("all of its %d neighbours still have it", n)
		}
		for _, m := range f.nodes[1:] {
			if got := m.events(); m != stuck && !slices.Equal(got, sent) {
				t.Errorf("%s has %d events of %d", m.name, len(got), len(sent))
			}
		}
		stuck.block.Store(nil)
		close(block)
		time.Sleep(settled)
		if got := stuck.events(); !slices.Equal(got, sent) {
			t.Errorf("the stuck one has %d events of %d, or in another order", len(got), len(sent))
		}
		if n := having(); n != before {
			t.Errorf("%d nodes have it for a neighbour again, of %d", n, before)
		}
	})
}

// Two that were neighbours before members changed are none any more after a while, though
// events go on.
func TestFormerNeighboursAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, everyone)
		time.Sleep(settled)
		a, b := f.nodes[0], f.nodes[1]
		a.tree.mu.Lock()
		for _, other := range f.nodes[1:] {
			if _, is := a.tree.chosen[other.name]; !is {
				b = other
			}
		}
		a.tree.mu.Unlock()
		for _, pair := range [][2]*member{{a, b}, {b, a}} {
			one, other := pair[0].tree, pair[1].name
			one.mu.Lock()
			peer, _ := one.cfg.Peers.Member(other)
			if _, ok := one.addLocked(plumtree.Neighbour{Name: other, Early: true}, peer); !ok {
				t.Errorf("%s is no neighbour", other)
			}
			one.mu.Unlock()
		}
		before := a.neighbours()
		for i := range 30 {
			f.nodes[i].publish(0, 1)
			time.Sleep(6 * time.Second)
		}
		if n := a.neighbours(); n != before-1 {
			t.Errorf("%d neighbours are left of %d, one of them not chosen", n, before)
		}
		for _, m := range f.nodes {
			if len(m.gossiped) > 0 {
				t.Errorf("%s has gossip carry %d events", m.name, len(m.gossiped))
			}
		}
	})
}
