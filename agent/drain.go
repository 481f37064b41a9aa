package agent

import (
	"context"
	"sync"

	"agentctl/handler/delivery"
)

// drain waits until every target and script has had its events, or ctx ends, and
// then says what is left. Each target gets one more attempt at once. It waits no longer
// for a target that fails, if what waits is kept for the next start, nor for one that
// refuses connections.
func (ss *sinks) drain(ctx context.Context, kept func() bool) {
	var wg sync.WaitGroup
	for _, s := range ss.served() {
		s.finish()
		if s.runner != nil {
			wg.Go(func() { s.runner.Idle(ctx) })
		}
		if d := s.delivery; d != nil {
			wg.Go(func() { ss.drainTarget(ctx, d, kept) })
		}
	}
	wg.Wait()
}

func (ss *sinks) drainTarget(ctx context.Context, d *delivery.Delivery, kept func() bool) {
	if d.Drain(ctx, kept) != nil {
		ss.tellWaiting(d, kept())
	}
}

// tellWaiting logs what a target has not had at the end.
func (ss *sinks) tellWaiting(d *delivery.Delivery, kept bool) {
	s := d.Status()
	if kept {
		ss.cfg.Logger.Info("events wait in the journal for the next start", "target", s.Target, "waiting", s.Waiting, "last_error", s.LastError)
	} else {
		ss.cfg.Logger.Error("events were not delivered before the end", "target", s.Target, "waiting", s.Waiting, "last_error", s.LastError)
	}
}

// tellAll logs what all targets and scripts have not had, for an end that waits for none.
func (ss *sinks) tellAll(kept bool) {
	for _, s := range ss.served() {
		if d := s.delivery; d != nil && d.Status().Waiting > 0 {
			ss.tellWaiting(d, kept)
		}
		if r := s.runner; r != nil && r.Waiting() > 0 {
			ss.cfg.Logger.Error("events were not handled before the end", "handler", s.name, "waiting", r.Waiting())
		}
	}
}
