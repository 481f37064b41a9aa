package broadcast

import (
	"slices"

	"agentctl/agent/peers"
	"agentctl/agent/plumtree"
	"agentctl/handler/varint"

	"github.com/hashicorp/serf/serf"
)

const (
	// newsByte begins a message that goes along the trees and is no event: it names
	// members that take part in them. Events begin otherwise.
	newsByte = 0xA3
	// maxNews is how many names such a message has. Where more agents are found at once,
	// lists of them are compared anyway.
	maxNews = 16
	// maxNodeName is serf's own limit.
	maxNodeName = 128
)

// news is a message with names of agents.
func news(names []string) []byte {
	e := varint.Encoder{newsByte}
	e.Uint(uint64(len(names)))
	for _, name := range names {
		e.Text(name)
	}
	return e
}

// readNews tells whether a message has names of agents. If it cannot be read, it has none.
func readNews(b []byte) (names []string, ok bool) {
	if len(b) == 0 || b[0] != newsByte {
		return nil, false
	}
	d := varint.NewDecoder(b[1:])
	names = varint.List(&d, maxNews, func() string { return d.Text(maxNodeName) })
	if d.End() != nil {
		names = nil
	}
	return names, true
}

// found is told of members that take part in trees, as this node has found out. told says
// that others had said so before.
func (t *tree) found(names []string, told bool) {
	if !told {
		t.mu.Lock()
		t.fresh = append(t.fresh, names[:min(len(names), maxNews-min(maxNews, len(t.fresh)))]...)
		t.mu.Unlock()
	}
	raise(t.changed)
}

// tellLocked tells all of the agents that this node has found itself, if it would serve
// them otherwise: so two nodes tell of each. t.mu is held.
func (t *tree) tellLocked(agents []serf.Member) {
	if len(t.fresh) == 0 {
		return
	}
	names := append(peers.AliveNames(agents), t.cfg.Self)
	fresh := slices.DeleteFunc(t.fresh, func(name string) bool {
		others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
		return !plumtree.Serves(t.cfg.Self, others, name, servers)
	})
	t.fresh = nil
	if len(fresh) == 0 || len(t.up) == 0 {
		return
	}
	if a, err := t.core.Publish(t.now(), news(fresh)); err == nil {
		t.apply(a)
	}
}
