package agent

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/large"
	"agentctl/agent/link"
)

// openSerf makes the serf node, on the given transport or, where there is none,
// on ports of this machine.
func (a *Agent) openSerf(given Ports) error {
	ports := given.Gossip
	conf, err := serfConfig(a.opts, a.hub.StdLogger())
	if err != nil {
		return err
	}
	if given.tune != nil {
		given.tune(conf)
	}
	conf.EventCh = a.intake.ch
	if err := a.keepKeyring(conf.MemberlistConfig.Keyring, conf.KeyringFile); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if a.returning {
		a.resetSnapshot(conf)
	}
	// The ports first: where serf cannot have them itself, it leaves goroutines
	// and, with no address to advertise, the ports behind.
	if ports == nil {
		if ports, err = openGossip(conf.MemberlistConfig); err != nil {
			return listenError("gossip", "bind", err)
		}
	}
	conf.MemberlistConfig.Transport = ports
	if a.opts.PeerLinks {
		if err := a.openRepair(a.spreadCtx); err != nil {
			closeGossip(ports)
			return err
		}
		if err := a.openLinks(conf.MemberlistConfig, ports); err != nil {
			closeGossip(ports)
			return err
		}
	}
	if a.serf, err = serf.Create(conf); err != nil {
		closeGossip(conf.MemberlistConfig.Transport)
		return fmt.Errorf("gossip: %w", err)
	}
	a.delegate = conf.MemberlistConfig.Delegate
	// Once and for all: memberlist writes the node anew when its tags change.
	a.gossipAddr = a.serf.Memberlist().LocalNode().Address()
	a.spread = &spread{
		members: a.serf.Members, self: a.opts.NodeName, links: a.links, peers: a.peers, logger: a.logger, seed: maphash.MakeSeed(),
	}
	if a.repair != nil {
		a.newcomers = &newcomers{peers: a.peers, alive: func() []string { return aliveNames(a.serf.Members()) }}
		a.spread.met = a.met
		a.spread.missed = func(name string) { a.repair.Meet(name, "messages to a peer were dropped") }
		a.peers.found = func(name string) { a.repair.Meet(name, "a peer was found") }
	}
	if a.opts.DirectSend {
		a.spread.direct = newDirect(a.serf.Memberlist(), conf.MemberlistConfig.UDPBufferSize, a.publishMetrics)
	}
	a.intake.Subscribe(a.spread.watch) // for good
	a.openRejoin(conf)
	if a.returning {
		return a.witness(a.lastLTime)
	}
	return nil
}

// openLinks puts the links between memberlist and its ports.
func (a *Agent) openLinks(conf *memberlist.Config, ports memberlist.NodeAwareTransport) (err error) {
	cfg := link.Config{
		Name:      a.opts.NodeName,
		Transport: ports,
		Deliver:   a.takeLinked,
		Behind:    func(to link.Peer, _ uint64, notPeer bool) { a.spread.behind(to.Name, notPeer) },
		Handlers: map[link.Kind]link.Handler{
			link.KindRepair: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.repair.Handle(ctx, from.Name, req)
			},
			link.KindBody: func(_ context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.large.Handle(from.Name, req)
			},
			link.KindQuestion: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.nodes.answer(ctx, from, req)
			},
			link.KindMembers: func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				return a.views.answer(ctx, from, req)
			},
		},
		MaxMessage: large.MaxFrame,
		Logger:     a.logger,
		Metrics:    a.registry,
	}
	if conf.Keyring != nil {
		cfg.Keys = conf.Keyring.GetKeys
	}
	a.links, err = link.New(cfg)
	if err != nil {
		return fmt.Errorf("peer links: %w", err)
	}
	conf.Transport = a.links.Transport()
	known := func() []string { names, _ := a.knownPeers(); return names }
	a.nodes = a.newNodeAsker()
	a.views = newViews(a.Members, known, a.askPeer(link.KindMembers), a.logger, a.registry)
	return nil
}
