package agent

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/broadcast"
	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/membership"
)

// openSerf makes the serf node, on the given transport or, where there is none,
// on ports of this machine.
func (a *Agent) openSerf() error {
	ports := a.ports.Gossip
	conf, err := gossip.Configure(a.opts, a.hub.StdLogger())
	if err != nil {
		return err
	}
	if file := a.opts.TagsFile; file != "" && len(conf.Tags) > 0 {
		a.logger.Debug("tags restored", "tags", len(conf.Tags), "file", file)
	}
	if file := a.opts.KeyringFile; file != "" {
		a.logger.Debug("keyring restored", "keys", len(a.opts.Keys), "file", file)
	}
	a.logger.Debug("starting", "node", a.opts.NodeName)
	conf.EventCh = a.intake.Events()
	if err := gossip.KeepKeyring(&a.opts.Options, conf.MemberlistConfig.Keyring, conf.KeyringFile, a.logger); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	a.past.snapshot = gossip.SnapshotFile{
		Path: a.opts.SnapshotPath, Own: a.opts.DataDir != "" && a.opts.SnapshotPath == filepath.Join(a.opts.DataDir, config.SnapshotFile), Logger: a.logger,
	}
	if err := a.past.snapshot.Prepare(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	// The ports first: where serf cannot have them itself, it leaves goroutines
	// and, with no address to advertise, the ports behind.
	if ports == nil {
		if ports, err = gossip.Listen(conf.MemberlistConfig); err != nil {
			return listenError("gossip", "bind", err)
		}
	}
	conf.MemberlistConfig.Transport = ports
	conf.MemberlistConfig.Logger = gossip.Thin(conf.MemberlistConfig.Logger, a.members.packets.Suspect)
	if a.opts.PeerLinks {
		if err := a.openRepair(a.end.sending); err != nil {
			gossip.CloseTransport(ports)
			return err
		}
		if err := a.openLinks(conf.MemberlistConfig, ports); err != nil {
			gossip.CloseTransport(ports)
			return err
		}
	}
	if a.serf, err = gossip.Open(gossip.Config{
		Serf: conf, Receive: a.receive, All: a.past.returning, Synced: a.times.Synced, Lost: a.intake.Missed,
		Refused: a.times.far.by("gossip"), Oversized: oversized(a.hooks.Metrics, a.logger), Unwanted: a.intake.Unwanted,
	}); err != nil {
		return err
	}
	a.stops.push("closing gossip", closeWait, func(ctx context.Context) error { return within(ctx, a.serf.Shutdown) })
	a.openMembership(conf)
	a.openPublisher(conf.MemberlistConfig)
	if a.past.returning {
		a.serf.Witness(a.past.lastLTime)
	}
	return nil
}

// receive takes in a user event that a member sent, or remembers in a full sync.
func (a *Agent) receive(e serf.UserEvent, synced bool) {
	a.intake.Receive(e, synced)
	if p := a.publisher.rumors.Load(); !synced && p != nil {
		p.Rumor(e)
	}
}

// openLinks puts the links between memberlist and its ports.
func (a *Agent) openLinks(conf *memberlist.Config, ports memberlist.NodeAwareTransport) (err error) {
	cfg := link.Config{
		Name:      a.opts.NodeName,
		Transport: ports,
		Deliver:   func(from link.Peer, msgs [][]byte) link.Ack { return a.publisher.broadcast.Receive(from, msgs) },
		Behind:    func(to link.Peer, _ uint64, notPeer bool) { a.publisher.broadcast.Behind(to.Name, notPeer) },
		Accepted:  a.peers.Heard,
		Opened:    func(p link.Peer) { a.publisher.broadcast.Opened(p) },
		Lost:      func(name string, notPeer bool) { a.publisher.broadcast.Lost(name, notPeer) },
		Features:  []string{broadcast.Feature},
		Member:    a.peers.At,
		Handlers: map[link.Kind]link.Handler{
			link.KindRepair: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.repair.Handle(ctx, from.Name, req)
			},
			link.KindBody: func(_ context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.large.Handle(from.Name, req)
			},
			link.KindQuestion: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.ops.Answer(ctx, from, req)
			},
			link.KindStatus: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.ops.AnswerStatus(ctx, from, req)
			},
			link.KindDurable: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.publisher.durable.Handle(ctx, from.Addr, req)
			},
			link.KindMembers: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.members.views.Answer(ctx, from, req)
			},
			link.KindAgents: a.peers.Answer,
		},
		MaxMessage: large.MaxFrame + broadcast.Overhead,
		Logger:     a.logger,
		Metrics:    a.hooks.Metrics,
	}
	if conf.Keyring != nil {
		cfg.Keys = conf.Keyring.GetKeys
	}
	a.links, err = link.New(cfg)
	if err != nil {
		return fmt.Errorf("peer links: %w", err)
	}
	conf.Transport = a.links.Transport()
	a.members.views = membership.NewViews(membership.ViewsConfig{
		Members: a.Members, Peers: a.peers.Known, Near: a.near, Ask: a.askPeer(link.KindMembers), Logger: a.logger, Metrics: a.hooks.Metrics,
	})
	return nil
}
