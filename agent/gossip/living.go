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
