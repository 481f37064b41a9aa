package plumtree

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// heldNode is a node of the model. Nodes stand in a row, and each wants a link to the ones
// beside it that are there as far as is known.
type heldNode struct {
	tree    *Tree
	pipes   map[int]*heldPipe // to others, by index
	got     map[string]bool
	waits   map[ID]bool // that came and are not delivered
	joined  time.Duration
	died    time.Duration // forever while it lives
	noticed bool          // that it died
	liar    bool          // it has a link to all, beside the row, and sends lies alone
}

func (n *heldNode) alive() bool { return n.died == forever }

// heldPipe is one direction of a link. What came is acknowledged on the other one.
type heldPipe struct {
	to      Link      // what the receiver calls the link
	as      Neighbour // what the sender takes the receiver for
	queue   []heldMessage
	unacked []time.Duration // when these were sent
	since   time.Duration   // when the first of them was sent, or an acknowledgement came
	owed    []heldAck       // of what came on the other direction
}

// heldAck is an acknowledgement that waits: for a time, and for events to be delivered.
type heldAck struct {
	at    time.Duration
	waits []ID
}

func (p *heldPipe) send(msg heldMessage) {
	if len(p.unacked) == 0 {
		p.since = msg.at
	}
	p.queue, p.unacked = append(p.queue, msg), append(p.unacked, msg.at)
}

type heldMessage struct {
	text []byte // nil acknowledges a message
	at   time.Duration
}

// heldModel is a cluster whose gossip is abstract: an event that a node lets go reaches
// everybody in the end, if the node lives for spreads from then on.
type heldModel struct {
	t      *rapid.T
	now    time.Duration
	prompt time.Duration // since then messages come at once; forever if they do not
	looked time.Duration // at which links are stuck
	nodes  []*heldNode
	events []string
	at     map[string]time.Duration // when they were published
	gossip map[string]map[int]time.Duration
	stock  time.Duration // when a stock member joined; forever if none did
}

const (
	spreads = 500 * time.Millisecond
	// unnoticed is for how long a node's death is unnoticed at most, and heldUp for how long
	// a link holds up a message before it breaks, or the caller removes it.
	unnoticed = 10 * time.Second
	heldUp    = 4500 * time.Millisecond
	// known is how much later than the node before it a node hears of a stock member.
	known = 200 * time.Millisecond
	// soon is how long the acknowledgement of digests and the like waits at most.
	soon = 500 * time.Millisecond
)

func (m *heldModel) join() {
	tree, err := New(Config{Self: fmt.Sprint("n", len(m.nodes)), Incarnation: 1})
	if err != nil {
		m.t.Fatal(err)
	}
	m.nodes = append(m.nodes, &heldNode{tree: tree, pipes: map[int]*heldPipe{}, got: map[string]bool{}, waits: map[ID]bool{}, joined: m.now, died: forever})
	m.look()
}

// wanted are the nodes beside one, as far as is known.
func (m *heldModel) wanted(i int) (all []int) {
	for _, step := range []int{-1, 1} {
		j := i + step
		for j >= 0 && j < len(m.nodes) && (m.nodes[j].noticed || m.nodes[j].liar) {
			j += step
		}
		if j >= 0 && j < len(m.nodes) {
			all = append(all, j)
		}
	}
	return all
}

// passive tells whether one has another for a neighbour that it has not chosen. All have
// chosen the liar.
func (m *heldModel) passive(i, j int) bool {
	return !m.nodes[j].liar && !slices.Contains(m.wanted(i), j)
}

// look tells the nodes what they are to know: whether to hold, and each half second which
// links are stuck.
func (m *heldModel) look() {
	stuck := m.now >= m.looked+StuckLook
	if stuck {
		m.looked = m.now
	}
	for i, n := range m.nodes {
		alone := slices.ContainsFunc(m.wanted(i), func(j int) bool { return n.pipes[j] == nil })
		n.tree.SetHold(!alone && m.now-time.Duration(i)*known < m.stock)
		for _, j := range slices.Sorted(maps.Keys(n.pipes)) {
			if p := n.pipes[j]; p.as.Passive != m.passive(i, j) {
				p.as.Passive = !p.as.Passive
				m.act(i, n.tree.Update(m.now, m.nodes[j].pipes[i].to, p.as))
			}
		}
		for j, p := range n.pipes {
			if !stuck {
				continue
			}
			is := len(p.unacked) > 0 && p.since+StuckAfter <= m.now
			n.tree.SetStuck(m.nodes[j].pipes[i].to, is)
			if is && p.unacked[0] >= m.prompt && n.alive() && m.nodes[j].alive() {
				m.t.Errorf("n%d counts as stuck at n%d, and only has acknowledgements that wait", j, i)
			}
		}
	}
}

func (m *heldModel) link(i, j int) {
	a, b := m.nodes[i], m.nodes[j]
	if i == j || !a.alive() || !b.alive() || a.pipes[j] != nil {
		return
	}
	neighbour := func(i, of int) Neighbour {
		return Neighbour{Name: fmt.Sprint("n", of), Early: rapid.Bool().Draw(m.t, "early"), Backbone: rapid.Bool().Draw(m.t, "backbone"), Passive: m.passive(i, of)}
	}
	asJ, asI := neighbour(i, j), neighbour(j, i)
	la, outA, errA := a.tree.Add(m.now, asJ)
	lb, outB, errB := b.tree.Add(m.now, asI)
	if errA != nil || errB != nil {
		m.t.Fatal(errA, errB)
	}
	a.pipes[j], b.pipes[i] = &heldPipe{to: lb, as: asJ}, &heldPipe{to: la, as: asI}
	m.act(i, outA)
	m.act(j, outB)
	m.look()
}

func (m *heldModel) cut(i, j int) {
	if m.nodes[i].pipes[j] == nil {
		return
	}
	li, lj := m.nodes[j].pipes[i].to, m.nodes[i].pipes[j].to
	delete(m.nodes[i].pipes, j)
	delete(m.nodes[j].pipes, i)
	m.look()
	for _, end := range []struct {
		i int
		l Link
	}{{i, li}, {j, lj}} {
		if n := m.nodes[end.i]; n.alive() {
			m.act(end.i, n.tree.Remove(m.now, end.l))
		}
	}
}

// act does what a node has to do.
func (m *heldModel) act(i int, a Actions) {
	n := m.nodes[i]
	for _, e := range a.Events {
		key := eventKey(e)
		n.got[key] = true
		delete(n.waits, e.ID)
		if !e.Held {
			m.spread(i, key)
		}
	}
	for _, e := range a.Gossip {
		m.spread(i, eventKey(e))
	}
	if n.liar {
		return
	}
	for _, s := range a.Sends {
		for j, p := range n.pipes {
			if m.nodes[j].pipes[i].to == s.To {
				p.send(heldMessage{s.Message, m.now})
			}
		}
	}
}

// spread has a node pass an event on by gossip, which each does once. A liar does not.
func (m *heldModel) spread(i int, key string) {
	if m.nodes[i].liar {
		return
	}
	if !m.nodes[i].got[key] {
		m.t.Fatalf("n%d passes on %s, which it does not have", i, key)
	}
	by := m.gossip[key]
	if by == nil {
		by = map[int]time.Duration{}
		m.gossip[key] = by
	}
	if _, twice := by[i]; twice {
		m.t.Fatalf("n%d passes %s on twice", i, key)
	}
	by[i] = m.now
}

func (m *heldModel) publish(i int) {
	n := m.nodes[i]
	if !n.alive() || n.liar {
		return
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(len(m.events)))
	out, err := n.tree.Publish(m.now, payload)
	if err != nil {
		m.t.Fatal(err)
	}
	key := eventKey(Event{Publisher: n.tree.cfg.Self, Incarnation: 1, Seq: n.tree.seq, Payload: payload})
	m.events = append(m.events, key)
	m.at[key] = m.now
	n.got[key] = true
	if !out.Held {
		m.spread(i, key)
	}
	m.act(i, out)
}

// deliver has the next messages of a link come.
func (m *heldModel) deliver(i, j, count int) {
	p := m.nodes[i].pipes[j]
	for ; p != nil && len(p.queue) > 0 && count > 0 && m.nodes[j].alive(); count-- {
		msg := p.queue[0]
		p.queue = p.queue[1:]
		back := m.nodes[j].pipes[i]
		if msg.text == nil {
			back.unacked, back.since = back.unacked[1:], m.now
			continue
		}
		out, err := m.nodes[j].tree.Receive(m.now, p.to, msg.text)
		if err != nil {
			m.t.Fatal(err)
		}
		ack := heldAck{at: m.now, waits: slices.Clone(out.Waits)}
		if !IsEvent(msg.text) {
			ack.at += time.Duration(rapid.IntRange(0, 1).Draw(m.t, "soon")) * soon
		}
		for _, id := range ack.waits {
			m.nodes[j].waits[id] = true
		}
		back.owed = append(back.owed, ack)
		m.act(j, out)
		m.acknowledge(j)
	}
}

// acknowledge has a node acknowledge what it may, in order.
func (m *heldModel) acknowledge(i int) {
	n := m.nodes[i]
	for _, p := range n.pipes {
		for len(p.owed) > 0 && p.owed[0].at <= m.now &&
			!slices.ContainsFunc(p.owed[0].waits, func(id ID) bool { return n.waits[id] }) {
			p.owed = p.owed[1:]
			p.queue = append(p.queue, heldMessage{nil, m.now})
		}
	}
}

func (m *heldModel) deliverAll() {
	for i := range m.nodes {
		for j := range m.nodes {
			m.deliver(i, j, 1000)
		}
	}
}

// die ends a node. What it has sent may come or not.
func (m *heldModel) die(i int) {
	n := m.nodes[i]
	if !n.alive() {
		return
	}
	n.died = m.now
	for j := range m.nodes {
		if p := n.pipes[j]; p != nil && rapid.Bool().Draw(m.t, "lost") {
			p.queue = nil
		}
	}
}

// notice has the neighbours of a dead node notice that.
func (m *heldModel) notice(i int) {
	if m.nodes[i].alive() {
		return
	}
	m.nodes[i].noticed = true
	for j := range m.nodes {
		m.cut(i, j)
	}
	m.look()
}

// lie has a liar say something about events that are there, or about some that are not.
func (m *heldModel) lie(t *rapid.T) {
	var ids []ID
	for range rapid.IntRange(1, 3).Draw(t, "IDs") {
		of := &m.nodes[rapid.IntRange(0, len(m.nodes)-1).Draw(t, "of")].tree.recent
		id := ID(rapid.Uint64().Draw(t, "ID"))
		if n := of.len(); n > 0 {
			id = of.order.At(int(id % ID(n))).id
		}
		ids = append(ids, id)
	}
	k := rapid.SampledFrom([]kind{kindDigest, kindPull, kindGraft, kindPrune, kindFetch}).Draw(t, "kind")
	msg := heldMessage{list(k, 0, ids), m.now}
	for _, n := range m.nodes {
		if !n.liar {
			continue
		}
		for _, p := range n.pipes {
			if rapid.Bool().Draw(t, "to") {
				p.send(msg)
			}
		}
	}
}

// pass lets time pass, with what it brings about. If prompt, messages come at once.
func (m *heldModel) pass(d time.Duration, prompt bool) {
	if !prompt {
		m.prompt = forever
	} else if m.prompt == forever {
		m.prompt = m.now
	}
	for end := m.now + d; m.now < end; {
		m.now += 20 * time.Millisecond
		if prompt {
			m.deliverAll()
		}
		for i, n := range m.nodes {
			if !n.alive() {
				if !n.noticed && n.died+unnoticed <= m.now {
					m.notice(i)
				}
				continue
			}
			for j, p := range n.pipes {
				if len(p.queue) > 0 && p.queue[0].at+heldUp <= m.now {
					m.cut(i, j)
				}
			}
		}
		m.look()
		for i, n := range m.nodes {
			if at, never := n.tree.Next(); n.alive() && !never && at <= m.now {
				m.act(i, n.tree.Due(m.now))
			}
			if n.alive() {
				m.acknowledge(i)
			}
		}
	}
}
