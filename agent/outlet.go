package agent

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// outlet is one place that events go to: a target, with its delivery and, where
// it takes queries, a runner for those; or a script, with its runner.
type outlet struct {
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

// newTargetOutlet makes all of a target's outlet but its delivery.
func (a *Agent) newTargetOutlet(t target.Target) (*outlet, error) {
	o := &outlet{name: t.Name, target: &t, done: make(chan struct{}), drain: make(chan struct{})}
	if fs := script.QueriesOnly(t.Filters); len(fs) > 0 {
		var err error
		if o.poster, err = target.NewPoster(t); err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		o.runner = script.NewQueryRunner(t.Name, fs, o.poster, a.logger, a.scriptMetrics)
	}
	return o, nil
}

// openDelivery makes the delivery of a target's outlet, once no other has the
// target's place in the journal open.
func (a *Agent) openDelivery(o *outlet) (err error) {
	if o.target == nil {
		return nil
	}
	var revise func(context.Context, handler.Event) (handler.Event, bool)
	if a.returning {
		revise = a.stillTrue
	}
	o.delivery, err = delivery.New(delivery.Config{
		Revise:      revise,
		Self:        func() []byte { return script.MemberLines([]serf.Member{a.serf.LocalMember()}) },
		Target:      *o.target,
		Journal:     a.journal,
		Logger:      a.hub.LiveLogger(),
		Metrics:     a.targetMetrics,
		OnDelivered: a.onDelivered(o.name),
		OnFailed:    a.onFailed(o.name),
	})
	return err
}

func (a *Agent) newScriptOutlet(s config.Script) *outlet {
	self := func() serf.Member { return a.serf.LocalMember() }
	return &outlet{
		name:   text.Redact(s.Command),
		script: s,
		runner: script.New(s.Command, s.Filters, self, a.logger, a.scriptMetrics),
		done:   make(chan struct{}),
		drain:  make(chan struct{}),
	}
}

// serves tells whether o is what a target or script of the given form would be
// served by, so that it can go on at a reload. One with credentials or
// certificates is made anew, since those may have changed in their files.
func (o *outlet) serves(t *target.Target, s config.Script) bool {
	if (t == nil) != (o.target == nil) {
		return false
	}
	if t == nil {
		return o.script.Command == s.Command && reflect.DeepEqual(o.script.Filters, s.Filters)
	}
	return t.TLS == nil && o.target.TLS == nil && reflect.DeepEqual(*t, *o.target)
}

// start works on the outlet until stop, or the end of the part's context.
func (o *outlet) start(p *part) {
	ctx, cancel := context.WithCancel(p.ctx)
	o.cancel = cancel
	var wg sync.WaitGroup
	run := func(f func(context.Context) error) {
		wg.Add(1)
		p.start(func(context.Context) error {
			defer wg.Done()
			return f(ctx)
		})
	}
	if o.delivery != nil {
		run(o.delivery.Run)
	}
	if o.runner != nil {
		run(func(ctx context.Context) error { return o.runner.Run(ctx, o.drain) })
	}
	p.start(func(context.Context) error {
		wg.Wait()
		cancel()
		if o.poster != nil {
			o.poster.Close()
		}
		close(o.done)
		return nil
	})
}

// stopGrace is how long an attempt to post may go on when its target changes.
// Tests make it longer.
var stopGrace = time.Second

// stop ends a target's outlet and waits. An attempt under way may come to its
// end, so that its event does not come twice; one that hangs is cancelled.
func (o *outlet) stop() {
	if o.delivery == nil {
		return // it never started
	}
	o.delivery.Finish()
	o.finish()
	select {
	case <-o.done:
	case <-time.After(stopGrace):
	}
	o.cancel()
	<-o.done
}

// finish lets the runner end once it has handled what waits.
func (o *outlet) finish() { o.once.Do(func() { close(o.drain) }) }

// runnersOf are the runners among the outlets.
func runnersOf(outlets []*outlet) (out []*script.Runner) {
	for _, o := range outlets {
		if o.runner != nil {
			out = append(out, o.runner)
		}
	}
	return out
}
