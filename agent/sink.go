package agent

import (
	"context"
	"reflect"
	"sync"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/script"
	"agentctl/handler/delivery"
	"agentctl/handler/target"
)

// sink is one place that events go to: a target, with its delivery and, if it
// takes queries, a runner for those; or a script, with its runner.
type sink struct {
	name   string
	target *target.Target // nil for a script
	script config.Script

	delivery *delivery.Delivery // of a target
	poster   *target.Poster     // of a target that gets queries
	runner   *script.Runner     // of a script, or of a target that gets queries

	cancel context.CancelFunc // set by start
	done   chan struct{}      // closed when nothing of it runs any more
	drain  chan struct{}      // closed by finish
	once   sync.Once
}

// serves tells whether the sink is what a target or script of the given form would be
// served by, so that it can go on at a reload. One with credentials or
// certificates is made anew, since those may have changed in their files.
func (s *sink) serves(t *target.Target, sc config.Script) bool {
	if (t == nil) != (s.target == nil) {
		return false
	}
	if t == nil {
		return s.script.Command == sc.Command && reflect.DeepEqual(s.script.Filters, sc.Filters)
	}
	return t.TLS == nil && s.target.TLS == nil && reflect.DeepEqual(*t, *s.target)
}

// start works on the sink until stop, or the end of the part's context.
func (s *sink) start(p *part) {
	ctx, cancel := context.WithCancel(p.ctx)
	s.cancel = cancel
	var wg sync.WaitGroup
	run := func(f func(context.Context) error) {
		wg.Add(1)
		p.start(func(context.Context) error {
			defer wg.Done()
			return f(ctx)
		})
	}
	if s.delivery != nil {
		run(s.delivery.Run)
	}
	if s.runner != nil {
		run(func(ctx context.Context) error { return s.runner.Run(ctx, s.drain) })
	}
	p.start(func(context.Context) error {
		wg.Wait()
		cancel()
		if s.poster != nil {
			s.poster.Close()
		}
		close(s.done)
		return nil
	})
}

// stopGrace is how long an attempt to post may go on when its target changes.
// Tests make it longer.
var stopGrace = time.Second

// stop ends a target's sink and waits. An attempt under way may come to its
// end, so that its event does not come twice; one that hangs is cancelled.
func (s *sink) stop() {
	if s.delivery == nil {
		return // it never started
	}
	s.delivery.Finish()
	s.finish()
	select {
	case <-s.done:
	case <-time.After(stopGrace):
	}
	s.cancel()
	<-s.done
}

// finish lets the runner end once it has handled what waits.
func (s *sink) finish() { s.once.Do(func() { close(s.drain) }) }
