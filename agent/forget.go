package agent

import (
	"context"
	"slices"
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// Targets that are to be forgotten are looked for each forgetMost, or forgetPart
// of the journal's age, whichever is shorter.
const (
	forgetMost = time.Hour
	forgetPart = 10 // a tenth
)

// forgetAged forgets, while the agent runs, targets that are not configured any
// more, once what waits for them has grown too old.
func (ss *sinks) forgetAged(ctx context.Context) error {
	look := time.NewTicker(min(forgetMost, ss.cfg.MaxAge/forgetPart))
	defer look.Stop()
	for {
		select {
		case <-look.C:
			ss.reload.Lock()
			ss.forgetTargets(false)
			ss.reload.Unlock()
		case <-ctx.Done():
			return nil
		}
	}
}

// forgetTargets drops the places in the journal of targets that are not
// configured any more. One that still needs something keeps its place, and
// gathers events, for as long as the journal remembers events: where its
// configuration was lost by mistake, all is there when it is mended. With tell
// it says which those are. ss.reload is held.
func (ss *sinks) forgetTargets(tell bool) {
	oldest := time.Now().Add(-ss.cfg.MaxAge)
	for _, name := range ss.cfg.Journal.Targets() {
		if slices.ContainsFunc(ss.handlers.Targets, func(t target.Target) bool { return t.Name == name }) {
			continue
		}
		s, _ := ss.cfg.Journal.CursorStatus(name)
		switch {
		case !stillNeeds(s, oldest):
			ss.forget(name, s.Waiting)
		case tell:
			ss.cfg.Logger.Warn("a target is not configured any more: its events are kept until they are older than journal_max_age, and then dropped",
				"target", name, "waiting", s.Waiting, "buried", s.Buried, "gap", s.Gap.Reason, "journal_max_age", ss.cfg.MaxAge)
		}
	}
}

// stillNeeds tells whether something is left to do for a target that is not
// served: since a time before which all is given up. The journal itself gives
// up burials by age.
func stillNeeds(s journal.CursorStatus, oldest time.Time) bool {
	return s.Waiting > 0 && s.Oldest.After(oldest) || s.Gap.Since.After(oldest) || s.Buried > 0
}

// forget drops the place in the journal of a target for which so many events wait.
func (ss *sinks) forget(target string, waiting int) {
	if waiting > 0 {
		ss.removed.Add(float64(waiting))
		ss.cfg.Logger.Error("a target is not served any more: the events that wait for it are dropped", "target", target, "dropped", waiting)
	} else {
		ss.cfg.Logger.Info("a target is not served any more", "target", target, "dropped", waiting)
	}
	if err := ss.cfg.Journal.Forget(target); err != nil {
		ss.cfg.Logger.Error("a target that is not served any more keeps its place in the journal", "target", target, "error", err)
	}
}
