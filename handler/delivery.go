package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// DeliveryConfig is what a Delivery is made of.
type DeliveryConfig struct {
	Target  Target
	Journal Journal
	Logger  *slog.Logger // nil: nothing is logged
	Metrics *Metrics     // nil: nothing is counted

	// OnDelivered, where set, is called after the target took an event; took
	// is how long that attempt was. OnFailed is called after each attempt that
	// failed. Both hold up the delivery while they run.
	OnDelivered func(e Event, took time.Duration)
	OnFailed    func(e Event, err *PostError)
}

// poster makes one attempt, as Poster does.
type poster interface {
	Post(ctx context.Context, e *Event) (Response, error)
	Close()
}

// Delivery brings the events of a Journal to one target, in order, one at a
// time. Its methods are safe for concurrent use.
type Delivery struct {
	cfg     DeliveryConfig
	log     *slog.Logger
	poster  poster
	cursor  Cursor
	backoff backoff

	finished chan struct{} // closed by Finish
	finish   sync.Once

	mu    sync.Mutex
	state progress
	freed chan struct{} // closed when Waiting falls; nil when nobody asks
}

// NewDelivery opens the target's cursor in the journal, so events appended
// from now on will be delivered, and makes a Delivery to Run. It fails when
// the target is not valid, or is being served already.
func NewDelivery(cfg DeliveryConfig) (*Delivery, error) {
	p, err := NewPoster(cfg.Target)
	if err != nil {
		return nil, err
	}
	return newDelivery(cfg, p)
}

func newDelivery(cfg DeliveryConfig, p poster) (*Delivery, error) {
	cfg.Target = cfg.Target.WithDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cursor, err := cfg.Journal.Cursor(cfg.Target.Name, cfg.Target.Filters)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", cfg.Target.Name, err)
	}
	d := &Delivery{
		cfg:     cfg,
		log:     cfg.Logger.With("target", cfg.Target.Name),
		poster:  p,
		cursor:  cursor,
		backoff: backoff{cfg.Target.MinBackoff, cfg.Target.MaxBackoff},

		finished: make(chan struct{}),
	}
	d.state.since = time.Now()
	cfg.Metrics.attach(d)
	return d, nil
}

// Finish makes Run return once the attempt under way is over. Without that, an
// event that the target has taken already, but not answered yet, would come
// again from the next Delivery. Finish does not wait.
func (d *Delivery) Finish() { d.finish.Do(func() { close(d.finished) }) }

// Run delivers until ctx ends, and then returns nil. An attempt under way is
// cancelled; its event, and all that wait, stay in the journal for the next
// Delivery to a target of this name. An error means that the journal failed.
// Run may be called once.
func (d *Delivery) Run(ctx context.Context) (err error) {
	defer func() {
		d.cfg.Metrics.detach(d)
		d.poster.Close()
		err = errors.Join(err, d.cursor.Close())
	}()
	// going ends when no further attempt is to begin.
	going, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { d.watchLosses(going) })
	wg.Go(func() {
		select {
		case <-d.finished:
			stop()
		case <-going.Done():
		}
	})
	defer wg.Wait()
	defer stop()
	for {
		err := d.next(ctx, going)
		// A context's end reaches those made of it a moment later.
		if ctx.Err() != nil || going.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("target %s: %w", d.cfg.Target.Name, err)
		}
	}
}

// next takes one event to its end: delivered or buried. The end of going keeps
// further attempts from beginning, that of ctx cancels the one under way.
func (d *Delivery) next(ctx, going context.Context) error {
	rec, err := d.cursor.Next(going)
	if err != nil {
		return err
	}
	var lines every
	for attempt := 1; ; attempt++ {
		start := time.Now()
		_, err := d.poster.Post(ctx, &rec.Event)
		if err == nil {
			return d.delivered(&rec, time.Since(start))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		perr, ok := errors.AsType[*PostError](err)
		if !ok {
			perr = &PostError{Err: err}
		}
		if d.cfg.OnFailed != nil {
			d.cfg.OnFailed(rec.Event, perr)
		}
		if perr.Class == Bury {
			return d.buried(&rec, perr)
		}
		wait := max(d.backoff.wait(attempt), perr.RetryAfter)
		d.failed(&rec, perr, attempt, wait, &lines)
		if err := sleep(going, wait); err != nil {
			return err
		}
		d.mu.Lock()
		d.state.retried++
		d.mu.Unlock()
	}
}

// Replay makes the target get the events from a sequence number on, as far as
// the journal retains them, once more. An event that is being tried goes to
// its end first.
func (d *Delivery) Replay(seq uint64) error {
	if err := d.cursor.Seek(seq); err != nil {
		return fmt.Errorf("target %s: %w", d.cfg.Target.Name, err)
	}
	d.wakeIdle()
	return nil
}

// Idle waits until no event waits and none is in flight, and returns nil; or
// until ctx ends, and returns its error. Events that are appended meanwhile
// make it wait on.
func (d *Delivery) Idle(ctx context.Context) error {
	for {
		d.mu.Lock()
		if d.freed == nil {
			d.freed = make(chan struct{})
		}
		freed := d.freed
		d.mu.Unlock()
		if d.cursor.Status().Waiting == 0 {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Delivery) ack(seq uint64) error {
	err := d.cursor.Ack(seq)
	d.wakeIdle()
	return err
}

func (d *Delivery) wakeIdle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.freed != nil {
		close(d.freed)
		d.freed = nil
	}
}
