package agent

import (
	"context"
	"sync"
	"time"

	"agentctl/handler/delivery"
)

// drainLook is how often drain looks whether a target still takes events.
const drainLook = 50 * time.Millisecond

// drain waits until every target and script has had its events, or ctx ends, and
// then says what is left. It does not wait for a target that fails, if what waits
// is kept for the next start.
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
	for {
		look, cancel := context.WithTimeout(ctx, drainLook)
		err := d.Idle(look)
		cancel()
		if err == nil {
			return
		}
		s := d.Status()
		switch {
		case kept() && (ctx.Err() != nil || s.Attempts > 0):
			ss.cfg.Logger.Info("events wait in the journal for the next start", "target", s.Target, "waiting", s.Waiting, "last_error", s.LastError)
			return
		case ctx.Err() != nil:
			ss.cfg.Logger.Error("events were not delivered before the end", "target", s.Target, "waiting", s.Waiting, "last_error", s.LastError)
			return
		}
	}
}
