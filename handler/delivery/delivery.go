package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"agentctl/agent/logs"
	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/probe"
	"agentctl/handler/target"
)

// poster makes one attempt. A [target.Poster] is one.
type poster interface {
	Post(ctx context.Context, e *handler.Event) (target.Response, error)
	Flush(ctx context.Context, self *handler.Event) (target.Response, error)
	Close()
}

// Delivery brings the events of a journal to one target. Its methods are safe for
// concurrent use.
type Delivery struct {
	cfg     Config
	log     *slog.Logger
	sampled logs.Sampled // for its Nth
	poster  poster
	cursor  *journal.Cursor
	key     target.OrderKey
	backoff backoff.Backoff

	finished chan struct{} // closed by Finish
	finish   sync.Once
	draining chan struct{} // closed by Drain
	ended    chan struct{} // closed when Run returns

	inFlight atomic.Int64 // events that a worker has

	idle  monitor       // changes with the conditions of Idle
	gate  gate          // of attempts and flushes
	lost  chan struct{} // holds a value if a flush may be due
	hurry chan struct{} // holds a value if an operator wants no pause before it

	mu     sync.Mutex
	urge   chan struct{}       // closed by the next RetryNow
	pauses map[*pause]struct{} // under way
	state  progress
	outage outage
	asIs   map[uint64]struct{} // events to be posted without Revise

	toldMu sync.Mutex
	told   journal.CursorStatus // when losses were last logged
}

// New opens the target's cursor in the journal, and makes a Delivery that serves it
// once Run is called. Events that are appended from now on will be delivered. It fails
// if the target is not valid, another Delivery serves a target of that name
// (journal.ErrCursorInUse), or the journal is closed.
func New(cfg Config) (*Delivery, error) {
	p, err := target.NewPosterOn(cfg.Dial, cfg.Target)
	if err != nil {
		return nil, err
	}
	return newDelivery(cfg, p)
}

func newDelivery(cfg Config, p poster) (*Delivery, error) {
	cfg.Target = cfg.Target.WithDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Prober == nil {
		cfg.Prober = probe.New(probe.Dial(cfg.Dial), nil)
	}
	key, err := target.ParseOrderKey(cfg.Target.OrderKey)
	if err != nil {
		return nil, fmt.Errorf("target %s: order key: %w", cfg.Target.Name, err)
	}
	if f := cfg.Target.Flush; f != nil && f.SelfJoin && cfg.Self == nil {
		return nil, fmt.Errorf("target %s: flush: a member-join of this node needs Config.Self", cfg.Target.Name)
	}
	cursor, err := cfg.Journal.Cursor(cfg.Target.Name, journal.CursorConfig{
		Filters: cfg.Target.Filters, Collapse: cfg.Target.Collapse, MaxAge: cfg.Target.MaxAge,
		KeepLast: cfg.Target.Flush != nil && cfg.Target.Flush.LastEvent,
	})
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", cfg.Target.Name, err)
	}
	d := &Delivery{
		cfg:     cfg,
		log:     cfg.Logger.With("target", cfg.Target.Name),
		poster:  p,
		cursor:  cursor,
		key:     key,
		backoff: backoff.Backoff{Min: cfg.Target.MinBackoff, Max: cfg.Target.MaxBackoff},

		finished: make(chan struct{}),
		draining: make(chan struct{}),
		ended:    make(chan struct{}),
		lost:     make(chan struct{}, 1),
		hurry:    make(chan struct{}, 1),

		urge:   make(chan struct{}),
		pauses: map[*pause]struct{}{},
	}
	d.state.since = time.Now()
	s := cursor.Status()
	d.state.refusing.since = s.RefusingSince
	if !s.Gap.Open() {
		d.told = s // earlier losses, whose gap is closed
	}
	cfg.Metrics.attach(d)
	return d, nil
}

// Finish makes Run return once the attempts under way are over. If they were cancelled
// instead, an event that the target has taken, but not answered yet, would come again
// from the next Delivery. Finish does not wait.
func (d *Delivery) Finish() { d.finish.Do(func() { close(d.finished) }) }

// Run delivers until ctx ends, and then returns nil. It cancels the attempts under way.
// Their events, and all others that wait, stay in the journal for the next Delivery to
// a target of this name. An error means that the journal is closed. Run may be called
// once.
func (d *Delivery) Run(ctx context.Context) (err error) {
	defer func() {
		d.endOutage()
		d.cfg.Metrics.detach(d)
		d.poster.Close()
		err = errors.Join(err, d.cursor.Close())
		close(d.ended)
		d.idle.change(nil)
	}()
	// The first worker to fail ends ctx for the others.
	workers, ctx := errgroup.WithContext(ctx)
	// going ends when no further attempt shall begin.
	going, stop := context.WithCancel(ctx)
	next, wake := d.source()
	var wg sync.WaitGroup
	wg.Go(func() { d.watchLosses(going) })
	wg.Go(func() {
		select {
		case <-d.finished:
			stop()
		case <-going.Done():
		}
		wake()
	})
	defer wg.Wait()
	defer stop()
	for range d.cfg.Target.Concurrency {
		workers.Go(func() error { return d.work(ctx, going, next) })
	}
	if d.cfg.Target.Flush != nil {
		workers.Go(func() error { return d.flushGaps(ctx, going) })
	}
	if err := workers.Wait(); err != nil {
		return fmt.Errorf("target %s: %w", d.cfg.Target.Name, err)
	}
	return nil
}

// source returns the source of the workers' events, and a function that makes waiting
// workers look at their contexts. A single worker gets its events straight from the
// cursor.
func (d *Delivery) source() (next source, wake func()) {
	if d.cfg.Target.Concurrency > 1 {
		l := newLanes(d.cursor.Next, d.key, maxTaken)
		return l.next, l.wake
	}
	return func(ctx context.Context, j *job) (_ *job, err error) {
		if j == nil {
			j = new(job)
		}
		j.Record, err = d.cursor.Next(ctx)
		return j, err
	}, func() {}
}

// work delivers one event after another, until going ends or the journal fails. The end
// of a context reaches the contexts made of it a moment later, so it asks both.
func (d *Delivery) work(ctx, going context.Context, next source) error {
	var j *job
	for {
		var err error
		if j, err = next(going, j); err == nil {
			err = d.deliver(ctx, going, &j.Record)
		}
		if ctx.Err() != nil || going.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Idle waits until no event is pending and no flush is due, or until ctx ends, and
// returns ctx's error then. Events that are appended meanwhile make it wait longer.
func (d *Delivery) Idle(ctx context.Context) error {
	return d.idle.when(ctx, d.isIdle)
}

func (d *Delivery) isIdle() bool {
	s := d.cursor.Status()
	return s.Waiting == 0 && !d.wantsFlush(s.Gap)
}

// ack settles an event that the target took.
func (d *Delivery) ack(seq uint64, status int) error {
	err := d.cursor.Ack(seq, status)
	d.idle.change(nil)
	return err
}
