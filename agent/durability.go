package agent

import (
	"context"
	"time"

	"agentctl/agent/durable"
	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/agent/publish"
	"agentctl/handler"
)

// openDurable makes what waits until events are on the disks of several nodes.
func (a *Agent) openDurable() {
	cfg := durable.Config{Self: a.opts.NodeName, Had: a.journal.Had, Metrics: a.hooks.Metrics}
	if a.disk != nil {
		cfg.Sync = a.disk.Sync
		cfg.Failing = func() string {
			if s := a.disk.Status(); s.Degraded {
				return s.Error
			}
			return ""
		}
	}
	if a.opts.PeerLinks {
		cfg.Members = a.mayHaveDisks
		cfg.Alive = func() []string { return peers.AliveNames(a.serf.Reachable()) }
		cfg.Ask = a.askPeer(link.KindDurable)
	}
	a.publisher.durable = durable.New(cfg)
}

// mayHaveDisks are the other members that are alive.
func (a *Agent) mayHaveDisks() (all []durable.Member) {
	for _, name := range peers.AliveNames(a.serf.Reachable()) {
		if name != a.opts.NodeName {
			peer := a.peers.Is(name) // one that is not known to be a peer is asked
			all = append(all, durable.Member{Name: name, Peer: peer, Unsure: !peer && a.peers.MayAnswer(name, time.Now())})
		}
	}
	return all
}

// taken is told of each event that the journal has.
func (a *Agent) taken(e handler.Event) {
	a.publisher.durable.Took(e.ID)
	if a.hooks.Taken != nil {
		a.hooks.Taken(e)
	}
}

// publishDurably publishes an event, and waits until n nodes have it on their disks, at
// most until ctx ends. With n 0 it does not wait.
func (a *Agent) publishDurably(ctx context.Context, n int, name string, payload []byte, coalesce bool) (sent publish.Sent, r durable.Report, err error) {
	if n == 0 {
		sent, err = a.publisher.Report(ctx, name, payload, coalesce)
		return sent, r, err
	}
	r, err = a.publisher.durable.Publish(ctx, n, func(ctx context.Context) (string, error) {
		sent, err = a.publisher.Report(ctx, name, payload, coalesce)
		return sent.ID(), err
	})
	return sent, r, err
}
