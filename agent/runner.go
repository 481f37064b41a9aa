package agent

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/logs"
	"agentctl/handler"
	"agentctl/handler/queue"
)

// runnerQueue is how many events may wait for a script that is running, and
// runnerBytes how many bytes of them, but for a single one that has more.
const (
	runnerQueue = 1 << 15
	runnerBytes = 64 << 20
)

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
	metrics *scriptMetrics
	sampled logs.Sampled // for its Nth

	mu    sync.Mutex
	queue queue.Queue[task]
	wake  chan struct{} // holds a value when queue got one
	lost  atomic.Uint64
	done  chan struct{} // closed when Run returns
}

func newRunner(name string, filters handler.Filters, logger *slog.Logger, m *scriptMetrics, run func(context.Context, task)) *runner {
	return &runner{
		name:    name,
		filters: filters,
		run:     run,
		logger:  logger,
		metrics: m,
		queue:   queue.New[task](runnerQueue, runnerBytes),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// offer queues t if the filters want it. Only one goroutine may call it.
func (r *runner) offer(t task) {
	if !r.filters.Match(handler.Type(t.event.EventType().String()), nameOf(t.event)) {
		return
	}
	r.mu.Lock()
	full := !r.queue.Push(t, sizeOf(t.event))
	r.mu.Unlock()
	if full {
		r.metrics.droppedFull()
		if n := r.lost.Add(1); r.sampled.Nth("lost", n, time.Minute) {
			r.logger.Error("an event handler is stuck or too slow, events are lost to it",
				"handler", r.name, "lost", n, "waiting", r.waiting())
		}
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // Run has been told already
	}
}

// take takes the oldest event that waits.
func (r *runner) take() (t task, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Pop()
}

func (r *runner) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Len()
}

// Run works until ctx ends; the run under way is cancelled then. Once drain is
// closed it also returns as soon as nothing waits.
func (r *runner) Run(ctx context.Context, drain <-chan struct{}) error {
	defer close(r.done)
	for ctx.Err() == nil {
		if t, ok := r.take(); ok {
			r.run(ctx, t)
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
		case <-drain:
			if r.waiting() == 0 {
				return nil
			}
		}
	}
	if n := r.waiting(); n > 0 {
		r.metrics.droppedAtEnd(n)
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
