package broadcast

import (
	"slices"
	"time"

	"agentctl/agent/peers"
	"agentctl/agent/plumtree"
	"agentctl/handler/varint"
)

const (
	// newsByte begins a message that goes along the trees and is no event. Events begin
	// otherwise.
	newsByte = 0xA3
	// maxNews is how many names news has of each kind, and of how many agents a node tells
	// that it hears of within newsTime. Where more are found at once, as when a cluster
	// starts, lists of them are compared anyway: news of each to all costs the square.
	maxNews  = 16
	newsTime = 10 * time.Second
)

// news tells of members which of them take part in trees, and which do not although they
// did, or were said to.
type news struct{ agents, others []string }

func (n *news) encode() []byte {
	e := varint.Encoder{newsByte}
	for _, names := range [][]string{n.agents, n.others} {
		e.Uint(uint64(len(names)))
		for _, name := range names {
			e.Text(name)
		}
	}
	return e
}

// readNews tells whether a message is news. If it cannot be read, it tells nothing.
func readNews(b []byte) (n news, ok bool) {
	if len(b) == 0 || b[0] != newsByte {
		return n, false
	}
	d := varint.NewDecoder(b[1:])
	name := func() string { return d.Text(peers.MaxNodeName) }
	n.agents, n.others = varint.List(&d, maxNews, name), varint.List(&d, maxNews, name)
	if d.End() != nil {
		n = news{}
	}
	return n, true
}

// found is told of members that take part in trees, as this node has found out. told says
// that others had said so before.
func (t *tree) found(names []string, told bool) {
	t.mu.Lock()
	if now := t.now(); now-t.latelyFrom >= newsTime {
		t.latelyFrom, t.lately = now, 0
	}
	t.lately += len(names)
	if !told {
		t.fresh.agents = appendNews(t.fresh.agents, names...)
	}
	t.mu.Unlock()
	raise(t.grew)
}

// noAgent is told of a member that was taken for an agent and is none, as this node has
// found out.
func (t *tree) noAgent(name string) {
	t.mu.Lock()
	delete(t.chosen, name) // or an open link makes it a neighbour again
	t.treeOnly = false     // until neighbours are chosen anew
	t.removeLocked(name)
	t.holdLocked()
	t.fresh.others = appendNews(t.fresh.others, name)
	t.mu.Unlock()
	raise(t.changed)
}

func appendNews(to []string, names ...string) []string {
	return append(to, names[:min(len(names), maxNews-len(to))]...)
}

// crowdedLocked tells whether this node has heard of many agents in a short time. t.mu is held.
func (t *tree) crowdedLocked() bool { return t.lately > maxNews && t.now()-t.latelyFrom < newsTime }

// growing tells whether many more agents may become known soon.
func (t *tree) growing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.few || t.crowdedLocked()
}

// tellLocked tells all of the agents that this node has found itself, if it would serve
// them otherwise: so two or three nodes tell of each. It tells of those that are no agents in any
// case, since mostly a neighbour finds that out. t.mu is held.
func (t *tree) tellLocked(agents *plumtree.Agents) {
	n := t.fresh
	t.fresh = news{}
	if t.crowdedLocked() {
		n.agents = nil
	}
	n.agents = slices.DeleteFunc(n.agents, func(name string) bool { return !t.wouldServe(agents, name) })
	if len(n.agents)+len(n.others) == 0 || len(t.up) == 0 {
		return
	}
	if a, err := t.core.Publish(t.now(), n.encode()); err == nil {
		t.applyAlone(a)
	}
}

// wouldServe tells whether this node would serve an agent if that were none. One more counts
// than serve, since the agent itself may be among those with the highest hashes.
func (t *tree) wouldServe(agents *plumtree.Agents, name string) bool {
	return agents.Serves(t.cfg.Self, name, servers+1)
}
