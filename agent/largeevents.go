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
		Had: func(w *large.Wanted) bool { return a.journal.Had(w.ID()) || a.mayHaveHad(w.LTime) },
		Held: func(id string) ([]byte, bool) {
			rec, ok := a.journal.Find(id)
			return rec.Event.Payload, ok
		},
		Holders: a.holders,
		Take: func(ctx context.Context, w *large.Wanted, payload []byte) error {
			return a.intake.Take(ctx, intake.Fetched(w, payload), intake.Fetch)
		},
		Lost:    a.lostLarge,
		Logger:  a.logger,
		Metrics: a.registry,
	}
	if a.opts.PeerLinks {
		cfg.Ask = a.askPeer(link.KindBody)
	}
	a.large, err = large.New(cfg)
	return err
}

// mayHaveHad tells of a Lamport time from before this process whether its
// events may be among those that the history has let go of: after a restart
// members send references again that were seen to, and nobody may have the
// events any more. What was lacking then, repair finds.
func (a *Agent) mayHaveHad(ltime uint64) bool {
	if !a.past.returning || ltime > a.past.lastLTime {
		return false
	}
	if ext, err := a.journal.Extent(); err != nil || ext.Trimmed == 0 {
		return false
	}
	for rec, err := range a.journal.Events(0) {
		if err != nil {
			return false
		}
		if rec.Event.Type == handler.User {
			return ltime <= rec.Event.LTime
		}
	}
	return true
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
