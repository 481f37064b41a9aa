package agent

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/handler"
)

// runnerQueue is how many events may wait for a script that is running.
const runnerQueue = 1 << 15

// task is an event for a runner.
type task struct {
	event    serf.Event
	deadline time.Time // to respond by, of a query
}

// runner runs one thing, such as a script, for each event that its filters let
// pass: one at a time and in order. It never makes the one who offers wait:
// what its queue cannot take is counted and logged, and lost to this runner
// alone.
type runner struct {
	name    string // for the log
	filters handler.Filters
	run     func(context.Context, task)
	logger  *slog.Logger
	metrics *metrics

	queue chan task
	lost  atomic.Uint64
	done  chan struct{} // closed when Run returns
}

func newRunner(name string, filters handler.Filters, logger *slog.Logger, m *metrics, run func(context.Context, task)) *runner {
	return &runner{
		name:    name,
		filters: filters,
		run:     run,
		logger:  logger,
		metrics: m,
		queue:   make(chan task, runnerQueue),
		done:    make(chan struct{}),
	}
}

// offer queues t if the filters want it. Only one goroutine may call it.
func (r *runner) offer(t task) {
	if !r.filters.Match(handler.Type(t.event.EventType().String()), nameOf(t.event)) {
		return
	}
	select {
	case r.queue <- t:
	default:
		r.metrics.dropped("handler_full", 1)
		if n := r.lost.Add(1); powerOfTwo(n) {
			r.logger.Error("an event handler is stuck or too slow, events are lost to it",
				"handler", r.name, "lost", n, "waiting", runnerQueue)
		}
	}
}

// Run works until ctx ends; the run under way is cancelled then. Once drain is
// closed it also returns as soon as nothing waits.
func (r *runner) Run(ctx context.Context, drain <-chan struct{}) error {
	defer close(r.done)
	for ctx.Err() == nil {
		select {
		case t := <-r.queue:
			r.run(ctx, t)
			continue
		default:
		}
		select {
		case t := <-r.queue:
			r.run(ctx, t)
		case <-ctx.Done():
		case <-drain:
			if len(r.queue) == 0 {
				return nil
			}
		}
	}
	if n := len(r.queue); n > 0 {
		r.metrics.dropped("handler_stopped", n)
		r.logger.Warn("events were not handled before the end", "handler", r.name, "waiting", n)
	}
	return nil
}

// idle waits until Run has returned, having been told to drain, or ctx ends.
func (r *runner) idle(ctx context.Context) {
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}
