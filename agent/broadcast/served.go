package broadcast

import (
	"hash/fnv"
	"slices"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/peers"
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
	By     []string // in order of their names
}

// serve finds the members that this node serves, among those that take no part in trees.
func (t *tree) serve(agents, former, rest []serf.Member) *served {
	names := append(peers.AliveNames(agents), t.cfg.Self)
	s := &served{}
	var ask []string
	for _, m := range former {
		by := serversOf(names, m.Name)
		s.report = append(s.report, Served{m.Name, by})
		if slices.Contains(by, t.cfg.Self) && len(s.links) < MaxLinked {
			s.links = append(s.links, peers.Of(m))
		}
	}
	for _, m := range rest {
		by := serversOf(names, m.Name)
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

// serversOf are the agents that serve a member: those with the highest hash of both names.
// So all agents find the same ones, as far as they know of the same agents, and one more
// agent or one less changes who serves few.
func serversOf(agents []string, member string) (by []string) {
	type ranked struct {
		name string
		rank uint64
	}
	var best [servers]ranked
	for _, name := range agents {
		h := fnv.New64a()
		h.Write([]byte(member))
		h.Write([]byte{0})
		h.Write([]byte(name))
		r := ranked{name, mix(h.Sum64())}
		for i := range best {
			if r.rank > best[i].rank || best[i].name == "" {
				r, best[i] = best[i], r
			}
			if r.name == "" {
				break
			}
		}
	}
	for _, r := range best {
		if r.name != "" {
			by = append(by, r.name)
		}
	}
	slices.Sort(by)
	return by
}

// mix spreads a hash over all bits, as splitmix64 does: names often differ in the last
// byte alone.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
