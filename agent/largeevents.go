package agent

import (
	"context"
	"fmt"
	"slices"

	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/handler"
)

// openLarge makes what fetches events that are too large for gossip.
func (a *Agent) openLarge() (err error) {
	cfg := large.Config{
		Had: func(w *large.Wanted) bool { return a.journal.Had(w.ID()) || a.journal.Forgot(w.LTime) },
		Held: func(id string) ([]byte, bool) {
			rec, ok := a.journal.Find(id)
			return rec.Event.Payload, ok
		},
		Holders: a.holders,
		Peer:    func(origin string) bool { return a.peers.Knows(origin) },
		Take: func(ctx context.Context, w *large.Wanted, payload []byte) error {
			return a.intake.Take(ctx, intake.Fetch, intake.Fetched(w, payload))
		},
		Lost:    a.lostLarge,
		Logger:  a.logger,
		Metrics: a.hooks.Metrics,
	}
	if a.opts.PeerLinks {
		cfg.Ask = a.askPeer(link.KindBody)
	}
	a.large, err = large.New(cfg)
	return err
}

// holders are the members that may have an event: who published it, then peers
// in no order.
func (a *Agent) holders(origin string) []string {
	names := slices.DeleteFunc(a.peers.Find(), func(name string) bool { return name == origin })
	if origin == a.opts.NodeName {
		return names
	}
	return append([]string{origin}, names...)
}

// lostLarge makes a gap for those that a large event was for.
func (a *Agent) lostLarge(w *large.Wanted, reason string) {
	reason = fmt.Sprintf("event %s of %d bytes could not be had: %s", w.ID(), w.Size, reason)
	if err := a.journal.Lose(handler.User, w.Name, reason); err != nil {
		a.logger.Error("targets could not be marked for a flush", "reason", reason, "error", err)
	}
}
