package broadcast

import (
	"fmt"
	"slices"
	"time"

	"agentctl/agent/plumtree"
)

// servedBy is how many agents serve a stock member.
const servedBy = 2

// stock are members that are no agents. Each gets every event in a packet from each of the
// agents that serve it. Gossip, which brings them too, is left out.
type stock struct {
	names  []string
	served map[*node][]int // members, by the agent that serves them
	got    [][]bool        // by event and member
	last   []time.Duration // by event, to the last member
}

func (c *cluster) addStock() {
	s := &c.stock
	for i := range c.cfg.Stock {
		s.names = append(s.names, fmt.Sprintf("stock-%05d", i))
	}
	s.served = map[*node][]int{}
	for _, n := range c.nodes {
		c.chooseStock(n)
	}
}

// chooseStock has a node find out which members it serves.
func (c *cluster) chooseStock(n *node) {
	agents := make([]string, 0, len(n.view))
	for _, o := range n.view {
		agents = append(agents, o.name)
	}
	hashed := plumtree.AgentsOf(agents)
	var mine []int
	for i, name := range c.stock.names {
		if hashed.Serves(n.name, name, servedBy) {
			mine = append(mine, i)
		}
	}
	c.stock.served[n] = mine
}

// serve has a node send an event to the members that it serves.
func (c *cluster) serve(n *node, event int) {
	s := &c.stock
	for _, member := range s.served[n] {
		n.sent.packets++
		n.sent.bytes += c.cfg.Size
		if c.rand.Float64() < c.cfg.Network.Loss {
			continue
		}
		c.after(c.between(c.cfg.Network.MinDelay, c.cfg.Network.MaxDelay), func() {
			for len(s.got) <= event {
				s.got, s.last = append(s.got, make([]bool, len(s.names))), append(s.last, 0)
			}
			if !s.got[event][member] {
				s.got[event][member] = true
				s.last[event] = c.now - c.published[event].at
			}
		})
	}
}

// countStock counts how the measured events came to the stock members.
func (c *cluster) countStock(r *Result) {
	for i := c.cfg.Warm; i < len(c.stock.got); i++ {
		r.StockLast = append(r.StockLast, millis(c.stock.last[i]))
		for _, got := range c.stock.got[i] {
			if !got {
				r.StockMissing++
			}
		}
	}
	for _, members := range c.stock.served {
		r.StockMost = max(r.StockMost, len(members))
	}
	slices.Sort(r.StockLast)
}
