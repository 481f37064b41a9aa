package link

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"agentctl/agent/memnet"
)

// linksModel are some nodes, of this version and of a former one, which send to each other
// while links break, cross, are replaced and forgotten, and while keys change.
type linksModel struct {
	mem   *memNet
	nodes []*node
	rings []*ring
	sent  map[[2]int]int          // the messages of a node to another one
	free  map[[2]int]map[int]bool // those that Forget may have dropped
}

// No message is lost, comes twice or out of order, but for those that Forget drops. In the
// end two nodes that can have one link to each other, and others two; and nothing is held
// once nobody needs a link.
func TestLinksOfTwoDirections(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var ended any // rapid stays outside, where its clock does not run ahead
		bubble(t, func(t *testing.T) {
			defer func() { ended = recover() }()
			m := startModel(t, r)
			defer m.stop()
			node := rapid.IntRange(0, len(m.nodes)-1)
			pair := func(t *rapid.T) (int, int) {
				i := node.Draw(t, "from")
				return i, (i + rapid.IntRange(1, len(m.nodes)-1).Draw(t, "to")) % len(m.nodes)
			}
			rand := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
			r.Repeat(map[string]func(*rapid.T){
				"send": func(t *rapid.T) {
					i, j := pair(t)
					m.send(i, j, rapid.IntRange(1, 300).Draw(t, "messages"))
				},
				"send both": func(t *rapid.T) {
					i, j := pair(t)
					m.send(i, j, 1)
					m.send(j, i, 1)
				},
				"ask": func(t *rapid.T) {
					i, j := pair(t)
					go m.nodes[i].Request(context.Background(), m.nodes[j].peer, KindBody, []byte("?"))
				},
				"keep": func(t *rapid.T) {
					i := node.Draw(t, "node")
					m.keep(i, rapid.SliceOfDistinct(node, rapid.ID[int]).Draw(t, "others"))
				},
				"forget": func(t *rapid.T) { m.forget(pair(t)) },
				"keys": func(t *rapid.T) {
					i := node.Draw(t, "node")
					m.rings[i].set(rapid.SampledFrom([][]string{{"a"}, {"a", "b"}, {"b", "a"}}).Draw(t, "keys")...)
					m.nodes[i].KeysChanged()
				},
				"break": func(t *rapid.T) { m.mem.breakOne(rand) },
				"wait": func(t *rapid.T) {
					time.Sleep(rapid.SampledFrom([]time.Duration{
						time.Millisecond, 20 * time.Millisecond, 80 * time.Millisecond, time.Second, 12 * time.Second, time.Minute, 6 * time.Minute,
					}).Draw(t, "time"))
				},
			})
			m.settle(r)
		})
		if ended != nil {
			panic(ended) // rapid's own, most of the time
		}
	})
}

func startModel(t *testing.T, r *rapid.T) *linksModel {
	m := &linksModel{mem: &memNet{}, sent: map[[2]int]int{}, free: map[[2]int]map[int]bool{}}
	delay := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond}).Draw(r, "delay")
	m.mem.Network = memnet.New(memnet.Config{Dialed: m.mem.onDialed, MinDelay: delay, MaxDelay: 2 * delay})
	for i := range rapid.IntRange(2, 4).Draw(r, "nodes") {
		kind := rapid.SampledFrom([]func(*Config){members, members, members, alone}).Draw(r, "kind")
		ring := &ring{keys: []string{"a"}}
		m.rings = append(m.rings, ring)
		m.nodes = append(m.nodes, memNode(t, m.mem, i+1, both(kind, answering, ring.config)))
	}
	return m
}

func (m *linksModel) stop() {
	for _, n := range m.nodes {
		n.stop()
	}
}

func (m *linksModel) send(i, j, n int) {
	for range n {
		m.sent[[2]int{i, j}]++
		m.nodes[i].send(m.nodes[j].peer, fmt.Sprint(m.sent[[2]int{i, j}]))
	}
}

func (m *linksModel) keep(i int, others []int) {
	var peers []Peer
	for _, j := range others {
		if i != j {
			peers = append(peers, m.nodes[j].peer)
		}
	}
	m.nodes[i].Keep(peers)
}

// forget notes that what has not come yet may never come.
func (m *linksModel) forget(i, j int) {
	came := m.came(i, j)
	free := m.free[[2]int{i, j}]
	if free == nil {
		free = map[int]bool{}
		m.free[[2]int{i, j}] = free
	}
	for n := 1; n <= m.sent[[2]int{i, j}]; n++ {
		if !slices.Contains(came, fmt.Sprint(n)) {
			free[n] = true
		}
	}
	m.nodes[i].Forget(m.nodes[j].peer.Name)
}

func (m *linksModel) came(i, j int) []string {
	return m.nodes[j].bySender()[m.nodes[i].peer.Name]
}

// settle lets all links be, and looks at what has come.
func (m *linksModel) settle(t *rapid.T) {
	all := make([]int, len(m.nodes))
	for i := range m.nodes {
		m.rings[i].set("a", "b")
		all[i] = i
	}
	time.Sleep(time.Minute)
	for i := range m.nodes {
		m.keep(i, all)
	}
	time.Sleep(5 * time.Minute) // a link that was forgotten has to bring something first
	synctest.Wait()
	for i, from := range m.nodes {
		for j, to := range m.nodes {
			if i == j {
				continue
			}
			var want, got []string
			for n := 1; n <= m.sent[[2]int{i, j}]; n++ {
				if !m.free[[2]int{i, j}][n] {
					want = append(want, fmt.Sprint(n))
				}
			}
			seen := map[string]bool{}
			for _, msg := range m.came(i, j) {
				if seen[msg] {
					t.Errorf("message %s of %s came twice to %s", msg, from.peer.Name, to.peer.Name)
				}
				seen[msg] = true
				var n int
				if fmt.Sscan(msg, &n); !m.free[[2]int{i, j}][n] {
					got = append(got, msg)
				}
			}
			if a, b := strings.Join(got, " "), strings.Join(want, " "); a != b {
				t.Errorf("from %s to %s came %.300s; want %.300s", from.peer.Name, to.peer.Name, a, b)
			}
			want1 := 1
			if from.cfg.noBothWays || to.cfg.noBothWays {
				want1 = 2
			}
			if n := from.linksWith(to); n != want1 {
				t.Errorf("%s and %s have %d links, not %d", from.peer.Name, to.peer.Name, n, want1)
			}
		}
	}
	for i := range m.nodes {
		m.keep(i, nil)
	}
	time.Sleep(30 * time.Minute)
	for _, n := range m.nodes {
		if out, in := n.links(); out+in > 0 || n.known() > 0 {
			t.Errorf("%s has %v and %v links in the end, and knows %d peers", n.peer.Name, out, in, n.known())
		}
		for what, b := range map[string]*budget{"others": &n.budget, "its own": &n.Links.opened} {
			b.mu.Lock()
			if len(b.owners) > 0 || b.links > 0 || b.open != 0 || b.all != 0 {
				t.Errorf("%s counts %d owners, %d links and %d bytes for streams of %s", n.peer.Name, len(b.owners), b.links, b.all, what)
			}
			b.mu.Unlock()
		}
	}
}

// linksWith is how many links are open between two nodes, whoever opened them.
func (n *node) linksWith(other *node) (open int) {
	n.Links.mu.Lock()
	defer n.Links.mu.Unlock()
	for _, lk := range n.openLinksLocked() {
		if lk.peer.Name == other.peer.Name {
			open++
		}
	}
	return open
}

// breakOne breaks a connection that is open, perhaps.
func (n *memNet) breakOne(r *rand.Rand) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.conns) > 0 {
		last := n.conns[max(0, len(n.conns)-4):]
		last[r.IntN(len(last))].Close()
	}
}
