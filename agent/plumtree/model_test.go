package plumtree

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelNode is a life of a node of the model.
type modelNode struct {
	name  string
	tree  *Tree
	alive bool
	liar  bool
	links map[int]Link // to other nodes, by index
	got   map[string]int
	most  map[string][2]uint64 // of a publisher, what was delivered in order last
}

// modelPipe is one direction of a link.
type modelPipe struct {
	to    Link
	queue [][]byte
}

// model is a cluster whose messages come when the test wants it.
type model struct {
	t      *rapid.T
	now    time.Duration
	nodes  []*modelNode
	pipes  map[[2]int]*modelPipe
	full   bool
	lives  uint64
	events int
	own    map[string]bool // events that honest nodes have published, by key
}

func (m *model) start(i int) {
	m.lives++
	tree, err := New(Config{Self: m.nodes[i].name, Incarnation: m.lives})
	if err != nil {
		m.t.Fatal(err)
	}
	n := m.nodes[i]
	n.tree, n.alive, n.links = tree, true, map[int]Link{}
	n.got, n.most = map[string]int{}, map[string][2]uint64{}
}

// attributes are what a node takes another one for.
func (m *model) attributes(i, j int) Neighbour {
	n := Neighbour{Name: m.nodes[j].name, Early: true, Backbone: true}
	if !m.full {
		// Anything will do.
		n.Early, n.Backbone = rapid.Bool().Draw(m.t, "early"), rapid.Bool().Draw(m.t, "backbone")
		n.RTT = time.Duration(rapid.SampledFrom([]int{0, 1, 30}).Draw(m.t, "rtt")) * time.Millisecond
	}
	return n
}

func (m *model) link(i, j int) {
	a, b := m.nodes[i], m.nodes[j]
	if i == j || !a.alive || !b.alive || m.pipes[[2]int{i, j}] != nil {
		return
	}
	la, outA, errA := a.tree.Add(m.now, m.attributes(i, j))
	lb, outB, errB := b.tree.Add(m.now, m.attributes(j, i))
	if errA != nil || errB != nil {
		m.t.Fatal(errA, errB)
	}
	a.links[j], b.links[i] = la, lb
	m.pipes[[2]int{i, j}], m.pipes[[2]int{j, i}] = &modelPipe{to: lb}, &modelPipe{to: la}
	m.act(i, outA)
	m.act(j, outB)
}

// cut breaks a link, with what is on it.
func (m *model) cut(i, j int) {
	if m.pipes[[2]int{i, j}] == nil {
		return
	}
	for _, end := range [][2]int{{i, j}, {j, i}} {
		delete(m.pipes, end)
		n := m.nodes[end[0]]
		l := n.links[end[1]]
		delete(n.links, end[1])
		if n.alive {
			m.act(end[0], n.tree.Remove(m.now, l))
		}
	}
}

func eventKey(e Event) string {
	return fmt.Sprintf("%s %d %d %x", e.Publisher, e.Incarnation, e.Seq, e.Payload)
}

func (m *model) act(i int, a Actions) {
	n := m.nodes[i]
	for _, e := range a.Events {
		key := eventKey(e)
		if n.got[key]++; n.got[key] > 1 {
			m.t.Fatalf("%s has %s twice", n.name, key)
		}
		most, at := n.most[e.Publisher], [2]uint64{e.Incarnation, e.Seq}
		behind := at[0] < most[0] || at[0] == most[0] && at[1] <= most[1]
		if behind != e.Late {
			m.t.Fatalf("%s has %s after %v, marked late: %v", n.name, key, most, e.Late)
		}
		if !e.Late {
			n.most[e.Publisher] = at
		}
	}
	for _, s := range a.Sends {
		for j, l := range n.links {
			if l == s.To && !n.liar {
				p := m.pipes[[2]int{i, j}]
				p.queue = append(p.queue, s.Message)
			}
		}
	}
	s := n.tree.Stats()
	if s.Wanted > MaxLinks*maxAnnounced || s.Waiting > maxWaiting || s.Recent > maxRecent || s.Publishers > maxPublishers {
		m.t.Fatalf("%s holds too much: %+v", n.name, s)
	}
}

func (m *model) publish(i int) {
	n := m.nodes[i]
	if !n.alive || n.liar {
		return
	}
	m.events++
	n.tree.SetFull(m.full && len(n.links) == len(m.nodes)-1)
	payload := binary.BigEndian.AppendUint16(nil, uint16(m.events))
	out, err := n.tree.Publish(m.now, payload)
	if err != nil {
		m.t.Fatal(err)
	}
	key := eventKey(Event{Publisher: n.name, Incarnation: n.tree.cfg.Incarnation, Seq: n.tree.seq, Payload: payload})
	n.got[key] = 1
	m.own[key] = true
	m.act(i, out)
}

// deliver has the next messages of a link come.
func (m *model) deliver(i, j, count int) bool {
	p := m.pipes[[2]int{i, j}]
	if p == nil || len(p.queue) == 0 {
		return false
	}
	count = min(count, len(p.queue))
	out, err := m.nodes[j].tree.Receive(m.now, p.to, p.queue[:count]...)
	if err != nil && !m.nodes[i].liar {
		m.t.Fatal(err)
	}
	p.queue = p.queue[count:]
	m.act(j, out)
	return true
}

// pass lets time pass at all nodes.
func (m *model) pass(d time.Duration) {
	for until := m.now + d; ; {
		at, who := until, -1
		for i, n := range m.nodes {
			if next, never := n.tree.Next(); n.alive && !never && next <= at {
				at, who = next, i
			}
		}
		m.now = max(m.now, at)
		if who < 0 {
			return
		}
		m.act(who, m.nodes[who].tree.Due(m.now))
	}
}

// lie has a liar send something that may be true or not: about events that are there,
// and about some that are not.
func (m *model) lie(i int) {
	t := m.t
	var there []*entry // what the liar has
	var ids []ID
	for at := range m.nodes[i].tree.recent.len() {
		e := m.nodes[i].tree.recent.order.At(at)
		there, ids = append(there, e), append(ids, e.id)
	}
	var msg []byte
	n := rapid.IntRange(1, 4).Draw(t, "IDs")
	k := rapid.SampledFrom([]kind{kindEvent, kindDigest, kindPull, kindGraft, kindPrune, kindFetch}).Draw(t, "kind")
	switch {
	case k == kindEvent && len(there) > 0 && rapid.Bool().Draw(t, "pass on"):
		// As if the publisher sent it to all.
		e := rapid.SampledFrom(there).Draw(t, "event")
		msg = append([]byte{byte(kindEvent), 1}, e.msg[2:]...)
	case k == kindEvent:
		m.events++
		of := m.nodes[rapid.IntRange(0, len(m.nodes)-1).Draw(t, "of")]
		msg = appendBody(eventHead(nil, rapid.Bool().Draw(t, "direct"), uint64(rapid.IntRange(0, maxAge).Draw(t, "age")), uint64(rapid.IntRange(0, 5).Draw(t, "landing"))),
			of.name, uint64(rapid.IntRange(0, 20).Draw(t, "incarnation")), uint64(rapid.IntRange(1, 9).Draw(t, "seq")), fmt.Append(nil, "forged ", m.events))
	default:
		var some []ID
		for range n {
			id := ID(rapid.Uint64().Draw(t, "ID"))
			if len(ids) > 0 && rapid.Bool().Draw(t, "there") {
				id = ids[int(id%ID(len(ids)))]
			}
			some = append(some, id)
		}
		msg = list(k, uint64(rapid.IntRange(0, 5).Draw(t, "landing")), some)
	}
	for j := range m.nodes {
		if p := m.pipes[[2]int{i, j}]; p != nil && rapid.Bool().Draw(t, "to") {
			p.queue = append(p.queue, msg)
		}
	}
}

// Every event that an honest, living node has comes to all others that are connected to
// it by honest nodes, once, and in its publisher's order or marked late: through lost
// links, partitions, ends and restarts, and with liars.
func TestEveryEventOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, pipes: map[[2]int]*modelPipe{}, own: map[string]bool{}, full: rapid.Bool().Draw(t, "full")}
		count := rapid.IntRange(2, 7).Draw(t, "nodes")
		liars := rapid.IntRange(0, 2).Draw(t, "liars")
		for i := range count + liars {
			m.nodes = append(m.nodes, &modelNode{name: fmt.Sprint("n", i), liar: i >= count})
			m.start(i)
		}
		node := rapid.IntRange(0, len(m.nodes)-1)
		for i := range m.nodes {
			for j := range i {
				if m.full || j == i-1 || rapid.Bool().Draw(t, "linked") {
					m.link(i, j)
				}
			}
		}
		const limit = 5 * time.Second // so that no event is too old in the end
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				for i := node.Draw(t, "node"); rapid.Bool().Draw(t, "more"); {
					m.publish(i)
				}
			},
			"deliver": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "times") {
					m.deliver(node.Draw(t, "from"), node.Draw(t, "to"), rapid.IntRange(1, 5).Draw(t, "messages"))
				}
			},
			"all": func(t *rapid.T) { m.settle(20) },
			"cut": func(t *rapid.T) { m.cut(node.Draw(t, "a"), node.Draw(t, "b")) },
			"link": func(t *rapid.T) {
				m.link(node.Draw(t, "a"), node.Draw(t, "b"))
			},
			"partition": func(t *rapid.T) {
				side := rapid.SliceOfN(rapid.Bool(), len(m.nodes), len(m.nodes)).Draw(t, "side")
				for i := range m.nodes {
					for j := range i {
						if side[i] != side[j] {
							m.cut(i, j)
						}
					}
				}
			},
			"stop": func(t *rapid.T) { m.stop(node.Draw(t, "node")) },
			"restart": func(t *rapid.T) {
				i := node.Draw(t, "node")
				m.stop(i)
				m.start(i)
			},
			"time": func(t *rapid.T) {
				d := time.Duration(rapid.SampledFrom([]int{1, 5, 30, 1100}).Draw(t, "ms")) * time.Millisecond
				if m.now+d < limit {
					m.pass(d)
				}
			},
			"lie": func(t *rapid.T) {
				if i := node.Draw(t, "liar"); m.nodes[i].liar && m.nodes[i].alive {
					m.lie(i)
				}
			},
		})
		m.heal()
	})
}

func (m *model) stop(i int) {
	for j := range m.nodes {
		m.cut(i, j)
	}
	m.nodes[i].alive = false
}

// settle delivers what is on the links, some times.
func (m *model) settle(rounds int) {
	for range rounds {
		any := false
		for i := range m.nodes {
			for j := range m.nodes {
				any = m.deliver(i, j, 100) || any
			}
		}
		if !any {
			return
		}
	}
}

// hop is how long an event takes over a link at most, with room: its digest may come
// announceWait later, and the pulls ask neighbours that do not answer first.
const hop = announceWait + time.Second

// heal connects the living honest nodes, and checks that all of them have the same
// events of honest publishers once those had the time for the longest path.
func (m *model) heal() {
	var living []int
	for i, n := range m.nodes {
		if n.alive && !n.liar {
			living = append(living, i)
		}
	}
	for at, i := range living {
		for _, j := range living[:at] {
			if m.full || j == living[at-1] {
				m.link(i, j)
			}
		}
	}
	// A path has one link fewer than it has nodes: the hop that is left is for OrderWait.
	for end := m.now + time.Duration(len(living))*hop; m.now < end; {
		m.settle(1)
		m.pass(10 * time.Millisecond)
	}
	all := map[string]bool{}
	for _, i := range living {
		for key := range m.nodes[i].got {
			if m.own[key] {
				all[key] = true
			}
		}
	}
	for _, i := range living {
		for key := range all {
			if m.nodes[i].got[key] == 0 {
				m.t.Errorf("%s does not have %s", m.nodes[i].name, key)
			}
		}
	}
}
