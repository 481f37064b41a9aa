package gossip

import "github.com/hashicorp/serf/serf"

// Living are the nodes that memberlist has alive, this one included, in no order. Serf's
// list of members may have some of them as leaving or left, or may lack them. Their
// status is alive here, and their tags are left out.
func (n *Node) Living() (all []serf.Member) {
	n.presence.mu.Lock()
	defer n.presence.mu.Unlock()
	for name, l := range n.presence.alive {
		all = append(all, serf.Member{Name: name, Addr: l.Addr, Port: l.Port, Status: serf.StatusAlive})
	}
	return all
}

// Reachable are serf's members. One that serf has as leaving, or that it has forgotten,
// counts as alive as long as memberlist has it alive. It leaves in some seconds, or it does
// not leave: anyone can say so of a member, and at a Lamport time that the member cannot
// deny. The tags of a forgotten one are left out.
func (n *Node) Reachable() []serf.Member {
	members := n.Members()
	n.presence.mu.Lock()
	defer n.presence.mu.Unlock()
	for i, m := range members {
		if _, alive := n.presence.alive[m.Name]; alive && m.Status == serf.StatusLeaving {
			members[i].Status = serf.StatusAlive
		}
	}
	for name, l := range n.presence.missing(members) {
		members = append(members, serf.Member{Name: name, Addr: l.Addr, Port: l.Port, Status: serf.StatusAlive,
			ProtocolMin: l.PMin, ProtocolMax: l.PMax, ProtocolCur: l.PCur, DelegateMin: l.DMin, DelegateMax: l.DMax, DelegateCur: l.DCur})
	}
	return members
}

// Alive is a node that memberlist has alive, as Living has it.
func (n *Node) Alive(name string) (serf.Member, bool) {
	n.presence.mu.Lock()
	defer n.presence.mu.Unlock()
	l, ok := n.presence.alive[name]
	if !ok {
		return serf.Member{}, false
	}
	return serf.Member{Name: name, Addr: l.Addr, Port: l.Port, Status: serf.StatusAlive}, true
}
