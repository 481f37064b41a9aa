package broadcast

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/agent/plumtree"
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

	// FullyLinked is up to how many agents, and how many other members, this node sends to
	// each itself; 0 means [peers.FullyLinked].
	FullyLinked int
	// RTT is how far a member is, as far as is known; 0 counts as near. It may be nil.
	RTT func(name string) time.Duration
	// Take takes in events of other nodes that came along the trees, in order, and Linked
	// messages that a peer sent over a link to here alone. Both may wait.
	Take   func(events []Message)
	Linked func(from link.Peer, msgs [][]byte)
	// Gossip has gossip carry events that Take was told to hold back.
	Gossip func(events [][]byte)
	// Sending ends when nothing is to be sent any more.
	Sending context.Context

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
	cfg     Config
	routes  *routes
	direct  *direct // nil: nothing straight
	tree    *tree   // nil: no links
	changes changes
}

// New makes a Broadcast.
func New(cfg Config) *Broadcast {
	cfg.FullyLinked = cmp.Or(cfg.FullyLinked, peers.FullyLinked)
	b := &Broadcast{cfg: cfg, routes: &routes{
		members: cfg.Members, self: cfg.Self, links: cfg.Links != nil, direct: cfg.Packets > 0,
		peers: cfg.Peers, seed: maphash.MakeSeed(),
	}, changes: changes{raised: make(chan struct{}, 1), of: map[string]change{}}}
	var m *metrics
	if cfg.Metrics != nil {
		m = newMetrics(cfg.Metrics)
	}
	if cfg.Links != nil {
		b.tree = newTree(&b.cfg)
		if cfg.Metrics != nil {
			cfg.Metrics.MustRegister(newCollector(b.tree))
		}
	}
	if cfg.Packets > 0 {
		b.direct = newDirect(cfg.Memberlist, cfg.Packets, cfg.Deaf, m)
	}
	return b
}

// Run does all that is not done at once, until ctx ends.
func (b *Broadcast) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { b.seeToChanges(ctx) })
	if b.tree != nil {
		running.Go(func() { b.tree.Run(ctx) })
		running.Go(func() { b.tree.takeDue(ctx) })
	}
	if b.direct != nil {
		return b.direct.Run(ctx)
	}
	return nil
}

// Send hands an event on, as it goes over links and as serf has it; it never waits. Calls
// are one at a time where order counts. held says that gossip does not carry the event for
// now: serf is not to pass it on.
func (b *Broadcast) Send(forLinks, raw []byte) (held bool) {
	if b.tree != nil && b.tree.carry() {
		held, err := b.tree.publish(forLinks)
		if err != nil {
			b.cfg.Logger.Debug("an event goes by gossip alone", "error", err)
		}
		b.Serve(forLinks, raw)
		return held
	}
	linked, others := b.routes.at(time.Now())
	b.send(linked, others, forLinks, raw)
	return false
}

// Gossiped is told of an event that came along the trees, and by gossip too: then this node
// passes it on by gossip.
func (b *Broadcast) Gossiped(id plumtree.ID) { b.tree.gossiped(id) }

// Serve brings an event that came along the trees to the members that this node serves.
// It never waits.
func (b *Broadcast) Serve(forLinks, raw []byte) {
	if s := b.tree.serving.Load(); s != nil {
		b.send(s.links, s.straight, forLinks, raw)
	}
}

func (b *Broadcast) send(linked []link.Peer, others []*memberlist.Node, forLinks, raw []byte) {
	if len(linked) > 0 {
		if err := b.cfg.Links.Broadcast(linked, forLinks); err != nil {
			b.cfg.Logger.Debug("an event goes by gossip alone", "error", err)
		}
	}
	if b.direct == nil {
		return
	}
	for _, to := range others {
		b.direct.enqueue(b.cfg.Sending, to, raw)
	}
}

// Receive takes messages of a peer, as [link.Config.Deliver] gets them. Events are acknowledged
// once they are taken in.
func (b *Broadcast) Receive(from link.Peer, msgs [][]byte) link.Ack {
	var r receipt
	for len(msgs) > 0 {
		along := msgs[0][0] == treeByte
		n := 1
		for n < len(msgs) && (msgs[n][0] == treeByte) == along {
			n++
		}
		if some := msgs[:n]; along {
			for i := range some {
				some[i] = some[i][1:]
			}
			b.tree.receive(from, some, &r)
		} else {
			r.events = true
			b.cfg.Linked(from, some)
		}
		msgs = msgs[n:]
	}
	return b.tree.acknowledge(&r)
}

// Opened is told of a link that was opened to a peer.
func (b *Broadcast) Opened(p link.Peer) {
	takesPart := p.Has(Feature)
	b.cfg.Peers.Opened(p.Name, takesPart)
	if takesPart {
		b.tree.opened(p.Name)
	}
}

// Lost is told of a kept link that broke, or that could not be opened, and whether the node
// showed itself to be no peer.
func (b *Broadcast) Lost(name string, notPeer bool) {
	b.tree.lost(name)
	if notPeer {
		b.cfg.Peers.NoPeer(name)
	}
}

// Agents is told of members that take part in trees, see [peers.Config].
func (b *Broadcast) Agents(names []string, told bool) {
	if b.tree != nil {
		b.tree.found(names, told)
	}
}

// NoAgent is told of a member that takes no part in trees after all, see [peers.Config].
func (b *Broadcast) NoAgent(name string) {
	if b.tree != nil {
		b.tree.noAgent(name)
	}
}

// Trees tells how many neighbours this node has, and who serves the members that take no
// part in trees. It reports false in a small cluster, where each publisher sends to all.
func (b *Broadcast) Trees() (neighbours int, by []Served, there bool) {
	if b.tree == nil {
		return 0, nil, false
	}
	s := b.tree.serving.Load()
	if s == nil {
		return 0, nil, false
	}
	_, neighbours, _ = b.tree.figures()
	return neighbours, s.report, true
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
		b.tree.lost(name)
		b.cfg.Peers.NoPeer(name)
		b.cfg.Links.Forget(name)
		return
	}
	if b.tree != nil {
		b.tree.behind(name)
	}
	if b.cfg.Missed != nil {
		b.cfg.Missed(name)
	}
}

// forget drops what is known of a member that is gone: who comes back may be another program.
func (b *Broadcast) forget(name string) {
	b.cfg.Peers.Forget(name)
	if b.cfg.Links != nil {
		b.tree.lost(name)
		b.cfg.Links.Forget(name)
	}
}
