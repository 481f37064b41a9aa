package gossip

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// presence stands in front of serf's event delegate, and knows which nodes memberlist
// has alive. Serf's list of members may differ: a node that an operator forced to leave
// while it lived is "leaving" there, or is missing after a prune. Memberlist does not
// tell of such a node again, since nothing has changed for it.
type presence struct {
	memberlist.EventDelegate

	mu    sync.Mutex // held while serf is told, so that each node comes to serf in order
	alive map[string]living
}

// living is a node that memberlist has alive, and since when.
type living struct {
	memberlist.Node
	since time.Time
}

func newPresence(of memberlist.EventDelegate) *presence {
	return &presence{EventDelegate: of, alive: map[string]living{}}
}

func (p *presence) NotifyJoin(n *memberlist.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive[n.Name] = living{*n, time.Now()}
	p.EventDelegate.NotifyJoin(n)
}

func (p *presence) NotifyUpdate(n *memberlist.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive[n.Name] = living{*n, p.alive[n.Name].since}
	p.EventDelegate.NotifyUpdate(n)
}

func (p *presence) NotifyLeave(n *memberlist.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.alive, n.Name)
	p.EventDelegate.NotifyLeave(n)
}

// node returns a node that memberlist has alive.
func (p *presence) node(name string) (living, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.alive[name]
	return n, ok
}

// retell tells serf once more of the nodes that are alive and that it does not list,
// and names them. Serf tells of each as of a new member.
func (p *presence) retell(listed func() []serf.Member) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := p.missing(listed())
	names = slices.Sorted(maps.Keys(missing))
	for _, name := range names {
		n := missing[name]
		p.EventDelegate.NotifyJoin(&n.Node)
	}
	return names
}

// missing are the nodes that are alive and not among members. Mostly there are none, and
// then it costs no map of all. The lock is held.
func (p *presence) missing(members []serf.Member) map[string]living {
	listed := 0
	for _, m := range members {
		if _, alive := p.alive[m.Name]; alive {
			listed++
		}
	}
	if listed == len(p.alive) {
		return nil
	}
	missing := maps.Clone(p.alive)
	for _, m := range members {
		delete(missing, m.Name)
	}
	return missing
}
