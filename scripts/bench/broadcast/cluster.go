package broadcast

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"agentctl/agent/plumtree"
)

// node is a simulated node: its part of the broadcast, and what it knows of others.
type node struct {
	index  int
	name   string
	region int
	tree   *plumtree.Tree
	view   []*node                      // those that it takes for living; shared until it changes
	chosen map[*node]plumtree.Neighbour // its neighbours by its own choice
	pipes  [plumtree.MaxLinks]*pipe     // to its neighbours
	links  int
	most   int           // links, at any time
	woken  time.Duration // when it is woken next
	alive  bool
	joined time.Duration
	stuck  bool // it takes all, and sends nothing
	silent bool // it announces events, and sends none
	liar   bool // it announces events that do not exist, and passes nothing on

	sent traffic
}

type traffic struct{ packets, bytes int }

// cluster is all of it.
type cluster struct {
	cfg     Config
	rand    *rand.Rand
	now     time.Duration
	agenda  agenda
	nodes   []*node
	byName  map[string]*node
	members []plumtree.Member // memory of pick
	stock   stock
	refused int // links beyond a node's limit

	published []published
	late      int
	crossed   int    // events that were sent from one region to another
	received  uint64 // messages
}

// published is an event and who has it.
type published struct {
	at     time.Duration
	last   time.Duration // the latest delivery so far
	got    []uint8       // by node: how often
	gossip bool          // a node has let its gossip go
}

func newCluster(cfg Config) (*cluster, error) {
	c := &cluster{cfg: cfg, byName: map[string]*node{}, rand: rand.New(rand.NewPCG(cfg.Seed, 0))}
	for range cfg.Nodes {
		if _, err := c.newNode(); err != nil {
			return nil, err
		}
	}
	everyone := slices.Clone(c.nodes)
	for _, n := range c.nodes {
		n.view = everyone
		n.chosen = c.pick(n)
	}
	for _, n := range c.nodes {
		c.openChosen(n)
	}
	c.addStock()
	return c, nil
}

func (c *cluster) newNode() (*node, error) {
	i := len(c.nodes)
	n := &node{index: i, name: fmt.Sprintf("node-%05d", i), alive: true, joined: c.now, chosen: map[*node]plumtree.Neighbour{}, woken: forever}
	if r := len(c.cfg.Network.Between); r > 0 {
		n.region = i % r
	}
	var err error
	n.tree, err = plumtree.New(plumtree.Config{Self: n.name, Incarnation: uint64(c.now) + 1})
	c.nodes, c.byName[n.name] = append(c.nodes, n), n
	return n, err
}

const forever = time.Duration(1<<63 - 1)

// oneWay is what the regions of two nodes add to a message's way.
func (c *cluster) oneWay(a, b *node) time.Duration {
	if len(c.cfg.Network.Between) == 0 {
		return 0
	}
	return c.cfg.Network.Between[a.region][b.region]
}

func (c *cluster) rtt(a, b *node) time.Duration {
	return 2*c.oneWay(a, b) + c.cfg.Network.MinDelay + c.cfg.Network.MaxDelay
}

// pick is a node's choice of neighbours.
func (c *cluster) pick(n *node) map[*node]plumtree.Neighbour {
	c.members = c.members[:0]
	for _, o := range n.view {
		if o != n {
			c.members = append(c.members, plumtree.Member{Name: o.name, RTT: c.rtt(n, o)})
		}
	}
	chosen, full := plumtree.Choose(n.name, c.members)
	n.tree.SetFull(full)
	n.tree.SetHold(true)
	picked := map[*node]plumtree.Neighbour{}
	for _, nb := range chosen {
		picked[c.byName[nb.Name]] = nb
	}
	return picked
}

// choose has a node pick its neighbours anew, open links to those that are new, and
// close those that neither end wants any more.
func (c *cluster) choose(n *node) {
	before := n.chosen
	n.chosen = c.pick(n)
	c.openChosen(n)
	for _, o := range sorted(before) {
		_, mine := n.chosen[o]
		_, its := o.chosen[n]
		switch {
		case !mine && !its:
			c.close(n, o)
		case !mine && o.alive:
			c.open(n, o) // which is passive now
		}
	}
}

func (c *cluster) openChosen(n *node) {
	for _, o := range sorted(n.chosen) {
		if o.alive {
			c.open(n, o)
		}
	}
}

func sorted(set map[*node]plumtree.Neighbour) []*node {
	all := make([]*node, 0, len(set))
	for n := range set {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int { return a.index - b.index })
	return all
}

// neighbour is what a node takes another one for.
func (c *cluster) neighbour(n, other *node) plumtree.Neighbour {
	if nb, ok := n.chosen[other]; ok {
		return nb
	}
	return plumtree.Neighbour{Name: other.name, RTT: c.rtt(n, other), Passive: true}
}

// open opens a link. If there is one, the first end may take the other for something else
// now.
func (c *cluster) open(a, b *node) {
	if p := c.pipe(a, b); p != nil {
		c.act(a, a.tree.Update(c.now, plumtree.Link(slices.Index(a.pipes[:], p)), c.neighbour(a, b)))
		return
	}
	if a.links == plumtree.MaxLinks || b.links == plumtree.MaxLinks {
		c.refused++
		return
	}
	la, outA, errA := a.tree.Add(c.now, c.neighbour(a, b))
	lb, outB, errB := b.tree.Add(c.now, c.neighbour(b, a))
	if errA != nil || errB != nil {
		panic(fmt.Sprint("a link is opened twice: ", errA, errB))
	}
	a.pipes[la] = &pipe{from: a, to: b, link: lb, base: c.oneWay(a, b)}
	b.pipes[lb] = &pipe{from: b, to: a, link: la, base: c.oneWay(a, b)}
	for _, n := range []*node{a, b} {
		n.links++
		n.most = max(n.most, n.links)
	}
	c.act(a, outA)
	c.act(b, outB)
}

func (c *cluster) pipe(a, b *node) *pipe {
	for _, p := range a.pipes {
		if p != nil && p.to == b {
			return p
		}
	}
	return nil
}

// close closes a link. What is on its way is lost.
func (c *cluster) close(a, b *node) {
	for _, end := range [][2]*node{{a, b}, {b, a}} {
		n := end[0]
		p := c.pipe(n, end[1])
		if p == nil {
			return
		}
		p.closed = true
		l := slices.Index(n.pipes[:], p)
		n.pipes[l] = nil
		n.links--
		if n.alive {
			c.act(n, n.tree.Remove(c.now, plumtree.Link(l)))
		}
	}
}

// act does what a node has to do.
func (c *cluster) act(n *node, a plumtree.Actions) {
	for _, e := range a.Events {
		c.note(n, e)
	}
	for _, e := range a.Gossip {
		c.published[binary.BigEndian.Uint64(e.Payload)].gossip = true
	}
	if len(a.Sends) > 0 && !n.stuck && !n.liar {
		c.sendAll(n, a.Sends)
	}
	if at, never := n.tree.Next(); !never && at < n.woken {
		n.woken = at
		c.agenda.push(happening{at: at, do: wake, node: n})
	}
}

// sendAll sends messages. Those to the same neighbour share a segment.
func (c *cluster) sendAll(n *node, sends []plumtree.Send) {
	var segments [plumtree.MaxLinks]segment
	var used [plumtree.MaxLinks]bool
	for _, s := range sends {
		if n.silent && plumtree.IsEvent(s.Message) {
			continue
		}
		n.sent.bytes += len(s.Message)
		if p := n.pipes[s.To]; p != nil && p.base > 0 && plumtree.IsEvent(s.Message) {
			c.crossed++
		}
		if seg := &segments[s.To]; used[s.To] {
			seg.more = append(seg.more, s.Message)
		} else {
			used[s.To], seg.first = true, s.Message
		}
	}
	for l, p := range n.pipes {
		if used[l] && p != nil {
			n.sent.packets++
			c.send(p, segments[l])
		}
	}
}

// deliver gives a segment to its receiver.
func (c *cluster) deliver(p *pipe, s segment) {
	if p.closed || !p.to.alive {
		return
	}
	n := p.to
	c.received += uint64(1 + len(s.more))
	messages := append([][]byte{s.first}, s.more...)
	out, err := n.tree.Receive(c.now, p.link, messages...)
	if err != nil {
		panic(err)
	}
	c.act(n, out)
}

// note counts a delivery.
func (c *cluster) note(n *node, e plumtree.Event) {
	p := &c.published[binary.BigEndian.Uint64(e.Payload)]
	for len(p.got) <= n.index {
		p.got = append(p.got, 0)
	}
	p.got[n.index]++
	c.serve(n, int(binary.BigEndian.Uint64(e.Payload)))
	// A node that joined hears of events from before its time, and one that does not ask
	// for what it lacks gets it late.
	if n.joined > 0 || n.stuck || n.liar {
		return
	}
	p.last = max(p.last, c.now-p.at)
	if e.Late {
		c.late++
	}
}

// publish has a node publish an event.
func (c *cluster) publish(n *node) error {
	payload := make([]byte, c.cfg.Size)
	binary.BigEndian.PutUint64(payload, uint64(len(c.published)))
	p := published{at: c.now, got: make([]uint8, len(c.nodes))}
	p.got[n.index] = 1
	c.published = append(c.published, p)
	out, err := n.tree.Publish(c.now, payload)
	if err == nil {
		c.serve(n, len(c.published)-1)
		c.act(n, out)
	}
	return err
}

// after has something happen later.
func (c *cluster) after(d time.Duration, do func()) {
	c.agenda.push(happening{at: c.now + d, do: call, call: do})
}

// run lets time pass.
func (c *cluster) run(d time.Duration) {
	until := c.now + d
	for len(c.agenda.heap) > 0 && c.agenda.heap[0].at <= until {
		h := c.agenda.pop()
		c.now = h.at
		switch h.do {
		case arrive:
			c.deliver(h.pipe, h.seg)
		case resend:
			c.again(h.pipe)
		case wake:
			if h.node.woken != h.at || !h.node.alive {
				continue
			}
			h.node.woken = forever
			c.act(h.node, h.node.tree.Due(c.now))
		case call:
			h.call()
		}
	}
	c.now = until
}

// between is a random time.
func (c *cluster) between(least, most time.Duration) time.Duration {
	return least + time.Duration(c.rand.Int64N(int64(most-least)))
}
