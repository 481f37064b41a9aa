package large

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"agentctl/agent/logs"
)

const (
	// An event that nobody had is asked for again after minWait, doubling to
	// maxWait.
	minWait = 100 * time.Millisecond
	maxWait = 5 * time.Second
	// askFew members are asked each time, and askMany before it is given up.
	askFew  = 3
	askMany = 16
	// refusals are logged once in this time: strangers cause them.
	refusalsEvery = 10 * time.Second
)

// Bodies fetches events that are known by their references, and gives others
// those that are here. Its methods may be called from any goroutine.
type Bodies struct {
	cfg     Config
	metrics *metrics
	sampled logs.Sampled
	asks    *rate.Limiter
	bytes   *rate.Limiter
	wake    chan struct{} // holds a value when there may be something to do

	mu      sync.Mutex
	waiting map[string]*wait // by ID
}

// wait is an event that is waited for.
type wait struct {
	Wanted
	id    string
	next  time.Time // when to ask, guarded by the lock
	until time.Time // then it is given up
	tries int       // of who fetches it, as is
	wrong []string  // members that sent another event
	busy  bool      // someone fetches it, guarded by the lock
}

// New makes Bodies. An error says what is wrong with cfg.
func New(cfg Config) (*Bodies, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Bodies{
		cfg:     cfg,
		sampled: logs.Sampled{Logger: cfg.Logger},
		asks:    rate.NewLimiter(rate.Limit(cfg.askRate), cfg.askRate),
		bytes:   rate.NewLimiter(rate.Limit(cfg.byteRate), cfg.byteRate),
		wake:    make(chan struct{}, 1),
		waiting: map[string]*wait{},
	}
	b.metrics = newMetrics(cfg.Metrics, func() float64 {
		b.mu.Lock()
		defer b.mu.Unlock()
		return float64(len(b.waiting))
	})
	return b, nil
}

// Published counts an event that goes out by reference.
func (b *Bodies) Published() { b.metrics.events.WithLabelValues(resultPublished).Inc() }

// Refuse counts and logs what came as a reference, or with one, and is none.
func (b *Bodies) Refuse(err error, args ...any) {
	b.metrics.events.WithLabelValues(resultRefused).Inc()
	b.sampled.Log(slog.LevelWarn, "a reference to a large event was refused", refusalsEvery, append(args, "error", err)...)
}

// Want sees to it that an event comes to be had, or is told to be lost.
func (b *Bodies) Want(w Wanted) {
	if b.cfg.Had(&w) {
		return
	}
	if b.cfg.Ask == nil {
		b.lose(&w, "this agent has no links to other agents (peer_links is false)")
		return
	}
	now := time.Now()
	b.mu.Lock()
	id := w.ID()
	known, full := b.waiting[id] != nil, len(b.waiting) >= b.cfg.maxWaiting
	if !known && !full {
		// It may be on its way over a link; and not all ask at the same time.
		grace := b.cfg.grace/4 + time.Duration(b.cfg.rand.Int64N(int64(b.cfg.grace)*3/4+1))
		b.waiting[id] = &wait{Wanted: w, id: id, next: now.Add(grace), until: now.Add(b.cfg.patience)}
	}
	b.mu.Unlock()
	switch {
	case known:
	case full:
		b.lose(&w, "too many large events are waited for")
	default:
		b.poke()
	}
}

func (b *Bodies) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// lose tells of an event that is not to be had.
func (b *Bodies) lose(w *Wanted, reason string) {
	b.metrics.events.WithLabelValues(resultLost).Inc()
	b.sampled.Log(slog.LevelError, "a large event is lost to this node", time.Second,
		"event", w.Name, "id", w.ID(), "bytes", w.Size, "publisher", w.Origin, "reason", reason)
	b.cfg.Lost(w, reason)
}

// Run fetches what is wanted until ctx ends.
func (b *Bodies) Run(ctx context.Context) error {
	var fetchers sync.WaitGroup
	for range b.cfg.fetchers {
		fetchers.Go(func() {
			for {
				w := b.take(ctx)
				if w == nil {
					return
				}
				b.attempt(ctx, w)
			}
		})
	}
	fetchers.Wait()
	return nil
}

// take waits for an event whose turn it is; nil once ctx has ended.
func (b *Bodies) take(ctx context.Context) *wait {
	for ctx.Err() == nil {
		w, pause := b.first(time.Now())
		if w != nil {
			b.poke() // another one sees to what is next
			return w
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-b.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// first takes the event that is due first, or tells how long it is until then.
func (b *Bodies) first(now time.Time) (due *wait, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.waiting {
		if !w.busy && (due == nil || w.next.Before(due.next)) {
			due = w
		}
	}
	if due == nil {
		return nil, time.Hour // until it is poked
	}
	if due.next.After(now) {
		return nil, due.next.Sub(now)
	}
	due.busy = true
	return due, 0
}
