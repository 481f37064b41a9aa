package script

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

// Task is an event for a runner.
type Task struct {
	Event    serf.Event
	Deadline time.Time // to respond by, of a query
}

// Runner runs one thing, such as a script, for each event that its filters let
// pass: one at a time and in order. It never makes the one who offers wait:
// what its queue cannot take is counted and logged, and lost to this runner
// alone.
type Runner struct {
	name    string // for the log
	filters handler.Filters
	run     func(context.Context, Task)
	logger  *slog.Logger
	metrics *Metrics
	sampled logs.Sampled // for its Nth

	mu    sync.Mutex
	queue queue.Queue[Task]
	wake  chan struct{} // holds a value when queue got one
	lost  atomic.Uint64
	done  chan struct{} // closed when Run returns
}

func NewRunner(name string, filters handler.Filters, logger *slog.Logger, m *Metrics, run func(context.Context, Task)) *Runner {
	return &Runner{
		name:    name,
		filters: filters,
		run:     run,
		logger:  logger,
		metrics: m,
		queue:   queue.New[Task](runnerQueue, runnerBytes),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// Offer queues t if the filters want it. Only one goroutine may call it.
func (r *Runner) Offer(t Task) {
	if !r.filters.Match(handler.Type(t.Event.EventType().String()), nameOf(t.Event)) {
		return
	}
	r.mu.Lock()
	full := !r.queue.Push(t, SizeOf(t.Event))
	r.mu.Unlock()
	if full {
		r.metrics.droppedFull()
		if n := r.lost.Add(1); r.sampled.Nth("lost", n, time.Minute) {
			r.logger.Error("an event handler is stuck or too slow, events are lost to it",
				"handler", r.name, "lost", n, "waiting", r.Waiting())
		}
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // Run has been told already
	}
}

// take takes the oldest event that waits.
func (r *Runner) take() (t Task, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Pop()
}

func (r *Runner) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Len()
}

// Run works until ctx ends; the run under way is cancelled then. Once drain is
// closed it also returns as soon as nothing waits.
func (r *Runner) Run(ctx context.Context, drain <-chan struct{}) error {
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
			if r.Waiting() == 0 {
				return nil
			}
		}
	}
	if n := r.Waiting(); n > 0 {
		r.metrics.droppedAtEnd(n)
		r.logger.Error("events were not handled before the end", "handler", r.name, "waiting", n)
	}
	return nil
}

// Idle waits until Run has returned, having been told to drain, or ctx ends.
func (r *Runner) Idle(ctx context.Context) {
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}
