package peers

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// wanted is how many peers a node that publishes nothing gets to know, to
	// compare its journal with: in a large cluster not every node asks all others.
	wanted = 8
	// smallCluster is how many members there are at most where each node asks all
	// others which of them are peers, and at once.
	smallCluster = wanted + 1
	// searchStagger, for each member, is how long at most a node of a cluster that
	// is not small waits before it asks for peers, and before it asks again. Where
	// many start at once, the nodes that wait get to know the few that have asked,
	// and need not ask. All together ask five times a second at most; gossip brings
	// each question to every node some 12 times and has room for twice as many. A
	// new node has missed nothing yet that it could want.
	searchStagger = 400 * time.Millisecond
	// joinedStagger is the same for a node that sees others join. It is shorter,
	// since they may be the other half of a cluster, and this node misses what
	// that half has.
	joinedStagger = 50 * time.Millisecond
)

// search is whether and when a node looks for peers of its own accord.
type search struct {
	from         atomic.Int64 // Unix time in ns from which on it does; 0 before Begin
	next         atomic.Int64 // from when on it does so again, likewise
	unclassified *unclassified
}

// Begin has this node look for peers from now on, whenever [Peers.Find] or
// [Peers.Joined] is called. A patient node of a large cluster first waits for a
// random time, during which it may get to know some without asking.
func (p *Peers) Begin(patient bool) {
	from := time.Now()
	if patient {
		from = from.Add(stagger(len(p.cfg.Members()), searchStagger))
	}
	p.search.from.Store(from.UnixNano())
}

// maySearch tells whether this node looks for peers by now.
func (p *Peers) maySearch() bool {
	from := p.search.from.Load()
	return from != 0 && time.Now().UnixNano() >= from
}

// Joined has some of the members that have joined asked whether they are peers.
// Before the search has begun it does nothing: all members are still to be met.
func (p *Peers) Joined(members []serf.Member) {
	if !p.maySearch() {
		return
	}
	var names []string
	for _, m := range members {
		if m.Name != p.cfg.Self {
			names = append(names, m.Name)
		}
	}
	p.search.unclassified.add(names)
}

// Known are the members alive that are known to be peers, in random order.
func (p *Peers) Known() []string {
	known, _ := p.classify()
	return known
}

// Find is Known. Where it knows too few peers, it has some other members asked, so
// that a later call may know more.
func (p *Peers) Find() []string {
	known, others := p.classify()
	if ask := min(len(others), wanted-len(known)); ask > 0 {
		p.seek(others[:ask], len(known)+len(others))
	}
	return known
}

// Seek has some of these members asked, unless this node has asked not long ago. In a
// large cluster that is seldom, since all nodes hear each question.
func (p *Peers) Seek(names []string) {
	if len(names) > 0 {
		p.seek(names[:min(len(names), wanted)], len(p.cfg.Members()))
	}
}

// seek has members asked, in a cluster of a size.
func (p *Peers) seek(names []string, size int) {
	now, next := time.Now(), p.search.next.Load()
	if !p.maySearch() || now.UnixNano() < next {
		return
	}
	if p.search.next.CompareAndSwap(next, now.Add(stagger(size, searchStagger)).UnixNano()) {
		p.Look(names)
	}
}

// classify tells the members alive that are known to be peers from those that are
// not, both in random order.
func (p *Peers) classify() (known, others []string) {
	members := p.cfg.Members()
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	for _, m := range members {
		switch {
		case m.Status != serf.StatusAlive || m.Name == p.cfg.Self:
		case p.Met(m.Name):
			known = append(known, m.Name)
		default:
			others = append(others, m.Name)
		}
	}
	return known, others
}

// stagger is for how long a node of a cluster of this size waits before it asks: up
// to a time for each member.
func stagger(size int, each time.Duration) time.Duration {
	if size <= smallCluster {
		return 0
	}
	return rand.N(time.Duration(size) * each)
}
