package broadcast

import (
	"slices"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/agent/plumtree"
)

// servers is how many agents serve a member that takes no part in trees.
const servers = 2

// served are the members that this node brings events to which came along the trees, and
// its own: stock members and agents of a former version.
type served struct {
	links    []link.Peer
	straight []*memberlist.Node
	report   []Served
}

// Served says which agents bring events to a member that takes no part in trees.
type Served struct {
	Member string
	By     []string
}

// serve finds the members that this node serves, among those that take no part in trees.
func (t *tree) serve(agents *plumtree.Agents, former, rest []serf.Member) *served {
	s := &served{}
	var ask []string
	for _, m := range former {
		by := agents.Servers(m.Name, servers)
		s.report = append(s.report, Served{m.Name, by})
		if slices.Contains(by, t.cfg.Self) && len(s.links) < MaxLinked {
			s.links = append(s.links, peers.Of(m))
		}
	}
	for _, m := range rest {
		by := agents.Servers(m.Name, servers)
		s.report = append(s.report, Served{m.Name, by})
		if slices.Contains(by, t.cfg.Self) {
			ask = append(ask, m.Name)
			if len(s.straight) < maxDirect {
				s.straight = append(s.straight, nodeOf(m))
			}
		}
	}
	t.cfg.Peers.Seek(ask) // it may be an agent that nobody knows yet
	return s
}
