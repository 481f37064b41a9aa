package broadcast

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/agent/plumtree"
)

const (
	// reviseWait is how long after a change neighbours are chosen anew: many come
	// together. reviseEvery is how often that is done anyway, since round trips change.
	reviseWait  = 100 * time.Millisecond
	reviseEvery = 10 * time.Second
	// While many more agents may become known, neighbours are chosen growWait after the last
	// one, and growLimit after the first at the latest. Neighbours among the first few are
	// none among all, and a link that brought messages stays open for minutes.
	growWait  = time.Second
	growLimit = 5 * time.Second
	// strangerIdle is how long a neighbour is kept that this node has not chosen, and that
	// sends nothing.
	strangerIdle = time.Minute
	// borderFrom and borderTo are between which round trips a member stays near, or far, as
	// it was: estimates waver, and each change of links costs gossip.
	borderFrom, borderTo = plumtree.Near * 3 / 4, plumtree.Near * 3 / 2
)

// revise chooses neighbours, and who is served. It returns when to do so again.
func (t *tree) revise() (again time.Duration) {
	all := slices.DeleteFunc(t.cfg.Members(), func(m serf.Member) bool {
		return m.Status != serf.StatusAlive || m.Name == t.cfg.Self
	})
	agents, former, rest := t.cfg.Peers.Sort(all)
	large := len(agents) >= t.cfg.FullyLinked || len(former)+len(rest) > t.cfg.FullyLinked
	chosen, full := []plumtree.Neighbour(nil), false
	if large {
		chosen, full = plumtree.Choose(t.cfg.Self, t.withRTT(agents))
	}
	names := append(peers.AliveNames(agents), t.cfg.Self)
	hashed := plumtree.AgentsOf(names)
	at := peersOf(agents, chosen)

	t.mu.Lock()
	t.few = len(agents) < len(former)+len(rest)
	if large != t.large {
		t.large, t.since = large, time.Now()
	}
	if large || t.carries {
		t.asleep.Store(false)
	}
	t.chosen = make(map[string]plumtree.Neighbour, len(chosen))
	for _, n := range chosen {
		t.chosen[n.Name] = n
	}
	t.core.SetFull(full)
	t.dropLocked(all)
	kept := make([]link.Peer, 0, len(chosen))
	for _, n := range chosen {
		peer := at[n.Name]
		kept = append(kept, peer)
		if l, ok := t.up[n.Name]; ok {
			t.at[l].peer = peer
			t.applyAlone(t.core.Update(t.now(), l, n))
		} else if t.cfg.Links.Open(n.Name) {
			t.addLocked(n, peer)
		}
	}
	if large {
		for name, l := range t.up {
			if _, is := t.chosen[name]; !is {
				t.applyAlone(t.core.Update(t.now(), l, t.strangerLocked(name)))
			}
		}
	}
	t.treeOnly = large && len(former)+len(rest) == 0
	t.holdLocked()
	if large {
		t.tellLocked(hashed)
	}
	t.fresh = news{}
	idle := !large && len(t.up) == 0
	t.mu.Unlock()

	t.cfg.Links.Keep(kept)
	if large {
		t.serving.Store(t.serve(hashed, former, rest))
		t.verify(hashed, names)
	} else {
		t.serving.Store(nil)
	}
	if idle {
		return never
	}
	return reviseEvery
}

// verify finds out about the agents that this node knows from others alone, if it would serve
// them otherwise. So two or three nodes have met each agent, beside its neighbours.
func (t *tree) verify(agents *plumtree.Agents, names []string) {
	for _, name := range names {
		if name != t.cfg.Self && !t.cfg.Peers.Met(name) && t.wouldServe(agents, name) {
			t.cfg.Peers.Verify(name)
		}
	}
}

// holdLocked tells core whether the gossip of events is held back: only if every member
// alive takes part in the trees, and if each neighbour is one that this node has chosen and
// that is alive. t.mu is held.
func (t *tree) holdLocked() {
	hold := t.treeOnly && len(t.chosen) > 0
	for name := range t.chosen {
		_, up := t.up[name]
		hold = hold && up
	}
	t.core.SetHold(hold)
	t.alarmLocked() // what is held may be due now
}

// peersOf are the chosen ones among agents as the links know them, by name.
func peersOf(agents []serf.Member, chosen []plumtree.Neighbour) map[string]link.Peer {
	of := make(map[string]link.Peer, len(chosen))
	for _, n := range chosen {
		of[n.Name] = link.Peer{}
	}
	for _, m := range agents {
		if _, is := of[m.Name]; is {
			of[m.Name] = peers.Of(m)
		}
	}
	return of
}

// withRTT are agents with how far they are. Only Run calls it.
func (t *tree) withRTT(agents []serf.Member) []plumtree.Member {
	all := make([]plumtree.Member, len(agents))
	border := map[string]bool{}
	for i, m := range agents {
		all[i] = plumtree.Member{Name: m.Name}
		if t.cfg.RTT == nil {
			continue
		}
		rtt := t.cfg.RTT(m.Name)
		if rtt >= borderFrom && rtt < borderTo {
			near, known := t.border[m.Name]
			if !known {
				near = rtt < plumtree.Near
			}
			border[m.Name] = near
			if near {
				rtt = min(rtt, plumtree.Near-1)
			} else {
				rtt = max(rtt, plumtree.Near)
			}
		}
		all[i].RTT = rtt
	}
	t.border = border
	return all
}

// dropLocked removes neighbours that are gone, and those that this node has not chosen and
// that have sent nothing for long. t.mu is held.
func (t *tree) dropLocked(alive []serf.Member) {
	there := make(map[string]bool, len(t.up))
	for _, m := range alive {
		if _, up := t.up[m.Name]; up {
			there[m.Name] = true
		}
	}
	for name, l := range t.up {
		_, chosen := t.chosen[name]
		if !there[name] || !chosen && time.Since(t.at[l].heard) >= strangerIdle {
			t.removeLocked(name)
		}
	}
}

// addLocked gives core a neighbour. If there are too many, one gives way that this node has
// not chosen. t.mu is held.
func (t *tree) addLocked(n plumtree.Neighbour, peer link.Peer) (plumtree.Link, bool) {
	if t.stuck[n.Name] {
		return 0, false
	}
	l, a, err := t.core.Add(t.now(), n)
	if errors.Is(err, plumtree.ErrFull) {
		if _, chosen := t.chosen[n.Name]; !chosen || !t.makeRoomLocked() {
			return l, false
		}
		l, a, err = t.core.Add(t.now(), n)
	}
	if err != nil {
		return l, false
	}
	t.up[n.Name], t.at[l] = l, neighbour{peer, time.Now()}
	t.applyAlone(a)
	t.holdLocked()
	return l, true
}

// makeRoomLocked removes a neighbour that this node has not chosen. t.mu is held.
func (t *tree) makeRoomLocked() bool {
	for name := range t.up {
		if _, chosen := t.chosen[name]; !chosen {
			t.removeLocked(name)
			return true
		}
	}
	return false
}

// removeLocked takes a neighbour off, if it is one. t.mu is held.
func (t *tree) removeLocked(name string) {
	l, ok := t.up[name]
	if !ok {
		return
	}
	delete(t.up, name)
	t.applyAlone(t.core.Remove(t.now(), l))
	t.at[l] = neighbour{}
	t.holdLocked()
}

// linkOf finds the neighbour that messages came from. A member that has this node for a
// neighbour becomes one here, too, if there is room. t.mu is held.
func (t *tree) linkOf(from link.Peer) (plumtree.Link, bool) {
	if l, ok := t.up[from.Name]; ok {
		return l, true
	}
	n, chosen := t.chosen[from.Name]
	if !chosen && len(t.up) >= plumtree.MaxLinks {
		return 0, false // at once: it may send much
	}
	host, _, err := net.SplitHostPort(from.Addr)
	if err != nil || !t.cfg.Peers.At(from.Name, host) {
		return 0, false
	}
	peer, ok := t.cfg.Peers.Member(from.Name)
	if !ok {
		return 0, false
	}
	if !chosen {
		n = t.strangerLocked(from.Name)
	}
	return t.addLocked(n, peer)
}

// strangerLocked is a neighbour that this node has not chosen. It is passive, or it would have
// its link for as long as it is told of events. In a small cluster none is chosen. t.mu is
// held.
func (t *tree) strangerLocked(name string) plumtree.Neighbour {
	n := plumtree.Neighbour{Name: name, Passive: t.large}
	if t.cfg.RTT != nil {
		n.RTT = t.cfg.RTT(name)
	}
	return n
}

// opened is told of a link that was opened to a peer.
func (t *tree) opened(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, chosen := t.chosen[name]
	if _, up := t.up[name]; !chosen || up {
		return
	}
	if peer, ok := t.cfg.Peers.Member(name); ok {
		t.addLocked(n, peer)
	}
}

// lost is told of a neighbour whose link broke. It becomes one again with the next link,
// and hears then of what it may have missed.
func (t *tree) lost(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(name)
}

// behind is told of a neighbour to which messages were dropped: it hears again of what it
// may lack.
func (t *tree) behind(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l, up := t.up[name]; up {
		peer := t.at[l].peer
		n, chosen := t.chosen[name]
		if !chosen {
			n = t.strangerLocked(name)
		}
		t.removeLocked(name)
		t.addLocked(n, peer)
	}
}
