package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/handler"
)

// unreachedNames is how many members a warning names.
const unreachedNames = 10

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
	if !a.returning || ltime > a.lastLTime {
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

// unpack reads a large event that came over a link, and the serf message with
// its reference.
func unpack(msg []byte) (e serf.UserEvent, raw []byte, err error) {
	raw, payload, err := large.Unpack(msg)
	if err != nil {
		return e, nil, err
	}
	var m gossip.Message
	if err := m.Decode(raw); err != nil {
		return e, nil, err
	}
	w, err := intake.Wanted(m.Event())
	if err != nil {
		return e, nil, err
	}
	if !w.Is(w.Name, payload) {
		return e, nil, fmt.Errorf("event %s: the %d bytes that came with its reference are not those of the event", w.ID(), len(payload))
	}
	return intake.Fetched(&w, payload), raw, nil
}

// unreachedPoll is how often unreached looks whether a member has answered.
const unreachedPoll = 20 * time.Millisecond

// unreached names the members that get no large event, as far as is known. It
// waits for those that were asked a moment ago whether they do.
func (a *Agent) unreached(ctx context.Context) (names []string) {
	poll := time.NewTicker(unreachedPoll)
	defer poll.Stop()
	for {
		names = names[:0]
		open := false
		for _, m := range a.serf.Members() {
			if m.Status != serf.StatusAlive || m.Name == a.opts.NodeName || a.peers.Is(m.Name) {
				continue
			}
			names = append(names, m.Name)
			open = open || a.peers.MayAnswer(m.Name, time.Now())
		}
		if !open {
			slices.Sort(names)
			return names
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return names
		}
	}
}

// warnUnreached says which members get no large event, "" where all do.
func (a *Agent) warnUnreached(names []string) string {
	if len(names) == 0 {
		return ""
	}
	named := strings.Join(names[:min(len(names), unreachedNames)], ", ")
	if more := len(names) - unreachedNames; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d of the cluster's members get no event of over %d bytes, as they are not agentctl, or have no peer links: %s",
		len(names), a.opts.UserEventSizeLimit, named)
}
