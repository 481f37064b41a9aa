package publish

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
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

// broadcast brings events that are published here to the other members without
// waiting for gossip: over links to agents of ours, straight to others. All of
// them get them by gossip too.
type broadcast struct {
	members func() []serf.Member
	self    string
	links   *link.Links // nil: no links
	direct  *direct     // nil: nothing straight
	peers   *peers.Peers
	met     func(joined []serf.Member) // told of members that have joined; may be nil
	missed  func(name string)          // told of a peer to whom messages were dropped; may be nil
	logger  *slog.Logger
	seed    maphash.Seed // draws who is left out of very many

	mu     sync.Mutex
	made   time.Time
	linked []link.Peer
	others []*memberlist.Node
}

func newBroadcast(c *Config, m *metrics) *broadcast {
	b := &broadcast{
		members: c.Node.Reachable, self: c.Self, links: c.Links, peers: c.Peers,
		met: c.Met, missed: c.Missed, logger: c.Logger, seed: maphash.MakeSeed(),
	}
	if c.Packets > 0 {
		b.direct = newDirect(c.Node.Memberlist(), c.Packets, c.Deaf, m)
	}
	return b
}

// send hands an event on, as it goes over links and as serf has it; it never
// waits. Calls are one at a time where order counts.
func (b *broadcast) send(ctx context.Context, forLinks, raw []byte) {
	linked, others := b.routes(time.Now())
	if len(linked) > 0 {
		if err := b.links.Broadcast(linked, forLinks); err != nil {
			b.logger.Debug("an event goes by gossip alone", "error", err)
		}
	}
	for _, to := range others {
		b.direct.enqueue(ctx, to, raw)
	}
}

// waiting is how many messages are not with their receivers, as far as is known.
func (b *broadcast) waiting() (n int) {
	if b.links != nil {
		n = b.links.Waiting()
	}
	if b.direct != nil {
		n += b.direct.waiting()
	}
	return n
}

// routes is where messages go now.
func (b *broadcast) routes(now time.Time) ([]link.Peer, []*memberlist.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.made.IsZero() || now.Sub(b.made) >= routesAge {
		b.made = now
		b.linked, b.others = b.plan()
	}
	return b.linked, b.others
}

func (b *broadcast) plan() (linked []link.Peer, others []*memberlist.Node) {
	members := slices.DeleteFunc(b.members(), func(m serf.Member) bool {
		return m.Status != serf.StatusAlive || m.Name == b.self
	})
	if len(members) > min(MaxLinked, maxDirect) {
		// Serf lists members in no order: those beyond a limit must not change
		// from one plan to the next, or links to all are opened.
		rank := func(m serf.Member) uint64 { return maphash.String(b.seed, m.Name) }
		slices.SortFunc(members, func(a, b serf.Member) int { return cmp.Compare(rank(a), rank(b)) })
	}
	for _, m := range members {
		switch {
		case b.links != nil && len(linked) < MaxLinked && b.peers.Is(m.Name):
			linked = append(linked, peers.Of(m))
		case b.direct != nil && len(others) < maxDirect:
			others = append(others, &memberlist.Node{Name: m.Name, Addr: m.Addr, Port: m.Port, PMax: m.ProtocolMax})
		}
	}
	return linked, others
}

// behind is told that a peer did not get all that it was sent. One that is none
// any more gets its events straight until it says that it is.
func (b *broadcast) behind(name string, notPeer bool) {
	if notPeer {
		b.forget(name)
	} else if b.missed != nil {
		b.missed(name)
	}
}

// watch sees members come and go: who comes back may be another program.
func (b *broadcast) watch(e serf.Event) {
	me, ok := e.(serf.MemberEvent)
	if !ok {
		return
	}
	switch me.Type {
	case serf.EventMemberLeave, serf.EventMemberFailed, serf.EventMemberReap:
		for _, m := range me.Members {
			b.forget(m.Name)
		}
	case serf.EventMemberJoin:
		if b.met != nil {
			b.met(me.Members)
		}
	}
}

func (b *broadcast) forget(name string) {
	b.peers.Forget(name)
	if b.links != nil {
		b.links.Forget(name)
	}
}
