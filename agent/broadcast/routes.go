package broadcast

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/peers"
)

const (
	// routesAge is for how long the list of members is used before it is made
	// anew. Who joined meanwhile gets an event by gossip.
	routesAge = 100 * time.Millisecond
	// MaxLinked and maxDirect are to how many members an event goes over links,
	// and straight. A link costs both ends a few goroutines and buffers, and a
	// packet the sender some 20 µs. The rest have gossip, and are not always the
	// same: each node draws its own.
	MaxLinked = 200
	maxDirect = 200
)

// routes are where messages go if this node brings them to each member itself: over links
// to agents of ours, straight to others.
type routes struct {
	members func() []serf.Member
	self    string
	links   bool
	direct  bool
	peers   *peers.Peers
	seed    maphash.Seed // draws who is left out of very many

	mu     sync.Mutex
	made   time.Time
	linked []link.Peer
	others []*memberlist.Node
}

// at is where messages go now.
func (r *routes) at(now time.Time) ([]link.Peer, []*memberlist.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made.IsZero() || now.Sub(r.made) >= routesAge {
		r.made = now
		r.linked, r.others = r.plan()
	}
	return r.linked, r.others
}

func (r *routes) plan() (linked []link.Peer, others []*memberlist.Node) {
	members := slices.DeleteFunc(r.members(), func(m serf.Member) bool {
		return m.Status != serf.StatusAlive || m.Name == r.self
	})
	if len(members) > min(MaxLinked, maxDirect) {
		// Serf lists members in no order: those beyond a limit must not change
		// from one plan to the next, or links to all are opened.
		rank := func(m serf.Member) uint64 { return maphash.String(r.seed, m.Name) }
		slices.SortFunc(members, func(a, b serf.Member) int { return cmp.Compare(rank(a), rank(b)) })
	}
	for _, m := range members {
		switch {
		case r.links && len(linked) < MaxLinked && r.peers.Is(m.Name):
			linked = append(linked, peers.Of(m))
		case r.direct && len(others) < maxDirect:
			others = append(others, nodeOf(m))
		}
	}
	return linked, others
}

// nodeOf is a member as memberlist sends to it.
func nodeOf(m serf.Member) *memberlist.Node {
	return &memberlist.Node{Name: m.Name, Addr: m.Addr, Port: m.Port, PMax: m.ProtocolMax}
}
