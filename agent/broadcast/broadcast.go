package broadcast

import (
	"context"
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/link"
	"agentctl/agent/peers"
)

// Config is what a [Broadcast] is made of.
type Config struct {
	Self    string               // this node's name
	Members func() []serf.Member // those that serf wrongly has as leaving are alive
	Peers   *peers.Peers
	Links   *link.Links // nil: there are none

	Memberlist *memberlist.Memberlist
	// Packets is the size of a gossip packet, in bytes. Events go straight to
	// members that are no peers, unless it is 0.
	Packets int
	// Deaf tells whether packets do not get to such a member: it is sent events over
	// TCP. It must not block, and may be nil.
	Deaf func(name string) bool

	// Met is told of members that have joined, and Missed of a peer to whom
	// messages were dropped. Either may be nil.
	Met    func(joined []serf.Member)
	Missed func(name string)

	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: nothing is counted
}

// Broadcast brings events to the other members without waiting for gossip. Its methods
// are safe for concurrent use.
type Broadcast struct {
	cfg    Config
	routes *routes
	direct *direct // nil: nothing straight
}

// New makes a Broadcast.
func New(cfg Config) *Broadcast {
	b := &Broadcast{cfg: cfg, routes: &routes{
		members: cfg.Members, self: cfg.Self, links: cfg.Links != nil, direct: cfg.Packets > 0,
		peers: cfg.Peers, seed: maphash.MakeSeed(),
	}}
	var m *metrics
	if cfg.Metrics != nil {
		m = newMetrics(cfg.Metrics)
	}
	if cfg.Packets > 0 {
		b.direct = newDirect(cfg.Memberlist, cfg.Packets, cfg.Deaf, m)
	}
	return b
}

// Run sends events straight to members that are no peers, until ctx ends.
func (b *Broadcast) Run(ctx context.Context) error {
	if b.direct != nil {
		return b.direct.Run(ctx)
	}
	return nil
}

// Send hands an event on, as it goes over links and as serf has it; it never
// waits. Calls are one at a time where order counts.
func (b *Broadcast) Send(ctx context.Context, forLinks, raw []byte) {
	linked, others := b.routes.at(time.Now())
	if len(linked) > 0 {
		if err := b.cfg.Links.Broadcast(linked, forLinks); err != nil {
			b.cfg.Logger.Debug("an event goes by gossip alone", "error", err)
		}
	}
	for _, to := range others {
		b.direct.enqueue(ctx, to, raw)
	}
}

// Waiting is how many messages are not with their receivers, as far as is known.
func (b *Broadcast) Waiting() (n int) {
	if b.cfg.Links != nil {
		n = b.cfg.Links.Waiting()
	}
	if b.direct != nil {
		n += b.direct.waiting()
	}
	return n
}

// Behind is told that a peer did not get all that it was sent. One that is no peer
// any more gets its events straight until it says that it is.
func (b *Broadcast) Behind(name string, notPeer bool) {
	if notPeer {
		b.forget(name)
	} else if b.cfg.Missed != nil {
		b.cfg.Missed(name)
	}
}

// Watch is told of member events: who comes back may be another program.
func (b *Broadcast) Watch(e serf.Event) {
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
		if b.cfg.Met != nil {
			b.cfg.Met(me.Members)
		}
	}
}

func (b *Broadcast) forget(name string) {
	b.cfg.Peers.Forget(name)
	if b.cfg.Links != nil {
		b.cfg.Links.Forget(name)
	}
}
