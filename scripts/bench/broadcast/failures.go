package broadcast

import (
	"slices"
	"time"

	"agentctl/agent/plumtree"
)

// breakDown breaks what is to break halfway.
func (c *cluster) breakDown(publisher *node) {
	others := slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return n == publisher || !n.alive })
	if n := int(c.cfg.Stop * float64(len(c.nodes))); n > 0 {
		c.rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		for _, o := range others[:min(n, len(others))] {
			c.stop(o)
		}
	}
	for _, o := range others[:int(c.cfg.Silent*float64(len(others)))] {
		o.silent = true
	}
	if c.cfg.Stuck {
		slices.MaxFunc(others, func(a, b *node) int { return a.sent.bytes - b.sent.bytes }).stuck = true
	}
}

// stop stops a node at once. Its neighbours notice later, and all others hear of it
// after that.
func (c *cluster) stop(n *node) {
	n.alive = false
	for _, p := range n.pipes {
		if p == nil {
			continue
		}
		o := p.to
		c.after(c.between(time.Second, c.cfg.Noticed+1), func() { c.close(o, n) })
		c.after(stuckAfter, func() { c.setStuck(o, n) })
	}
	for _, o := range c.nodes {
		if o.alive {
			c.after(c.between(time.Second, c.cfg.Noticed+c.cfg.Informed+1), func() { c.see(o, n, false) })
		}
	}
}

// stuckAfter is when a node knows that what it sends to a stopped one is not acknowledged.
const stuckAfter = plumtree.StuckAfter + plumtree.StuckLook

func (c *cluster) setStuck(n, other *node) {
	if p := c.pipe(n, other); p != nil {
		n.tree.SetStuck(plumtree.Link(slices.Index(n.pipes[:], p)), true)
	}
}

// see has a node hear that another is there, or is not any more.
func (c *cluster) see(n, other *node, there bool) {
	if !n.alive || n == other || slices.Contains(n.view, other) == there {
		return
	}
	n.view = slices.Clone(n.view)
	if there {
		n.view = append(n.view, other)
	} else {
		n.view = slices.DeleteFunc(n.view, func(o *node) bool { return o == other })
	}
	c.choose(n)
	c.chooseStock(n)
}

// churn has a node join and another one stop, again and again.
func (c *cluster) churn() {
	n, err := c.newNode()
	if err != nil {
		panic(err)
	}
	for _, o := range c.nodes {
		if o.alive {
			n.view = append(n.view, o)
			if o != n {
				c.after(c.between(0, c.cfg.Informed+1), func() { c.see(o, n, true) })
			}
		}
	}
	c.choose(n)
	victims := slices.DeleteFunc(slices.Clone(c.nodes[max(c.cfg.Publishers, 1):]), func(o *node) bool { return !o.alive || o == n })
	c.stop(victims[c.rand.IntN(len(victims))])
	c.after(c.cfg.Churn, c.churn)
}

// lieEvery is how often a liar tells a neighbour of lies events that do not exist.
const (
	lieEvery = 50 * time.Millisecond
	lies     = 20
)

// lie has some nodes lie from now on.
func (c *cluster) lie() {
	n := int(c.cfg.Liars * float64(len(c.nodes)))
	for _, o := range c.nodes[len(c.nodes)-n:] {
		o.liar = true
		c.after(c.between(0, lieEvery), func() { c.lieOf(o) })
	}
}

func (c *cluster) lieOf(n *node) {
	ids := make([]plumtree.ID, lies)
	for i := range ids {
		ids[i] = plumtree.ID(c.rand.Uint64())
	}
	msg := plumtree.Digest(ids)
	for _, p := range n.pipes {
		if p != nil {
			c.send(p, segment{first: msg})
		}
	}
	c.after(lieEvery, func() { c.lieOf(n) })
}
