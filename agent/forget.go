package agent

import (
	"context"
	"log/slog"
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
func (a *Agent) forgetAged(ctx context.Context) error {
	look := time.NewTicker(min(forgetMost, a.opts.JournalMaxAge/forgetPart))
	defer look.Stop()
	for {
		select {
		case <-look.C:
			a.reloadMu.Lock()
			a.forgetTargets(false)
			a.reloadMu.Unlock()
		case <-ctx.Done():
			return nil
		}
	}
}

// forgetTargets drops the places in the journal of targets that are not
// configured any more. One that still needs something keeps its place, and
// gathers events, for as long as the journal remembers events: where its
// configuration was lost by mistake, all is there when it is mended. With tell
// it says which those are. a.reloadMu is held.
func (a *Agent) forgetTargets(tell bool) {
	oldest := time.Now().Add(-a.opts.JournalMaxAge)
	for _, name := range a.journal.Targets() {
		if slices.ContainsFunc(a.handlers.Targets, func(t target.Target) bool { return t.Name == name }) {
			continue
		}
		s, _ := a.journal.CursorStatus(name)
		switch {
		case !stillNeeds(s, oldest):
			a.forget(name, s.Waiting)
		case tell:
			a.logger.Warn("a target is not configured any more, and its place in the journal is kept for now: configure it again by the same name, and it is served; what is older than journal_max_age is dropped",
				"target", name, "waiting", s.Waiting, "buried", s.Buried, "gap", s.Gap.Reason, "journal_max_age", a.opts.JournalMaxAge)
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
func (a *Agent) forget(target string, waiting int) {
	level := slog.LevelInfo
	if waiting > 0 {
		level = slog.LevelWarn
		a.targetRemoved.Add(float64(waiting))
	}
	a.logger.Log(context.Background(), level, "a target is not served any more", "target", target, "dropped", waiting)
	if err := a.journal.Forget(target); err != nil {
		a.logger.Error("a target that is not served any more keeps its place in the journal", "target", target, "error", err)
	}
}
