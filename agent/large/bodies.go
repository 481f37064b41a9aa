package large

import (
	"cmp"
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
	origins map[string]int   // how many of those each origin has

	losses losses
}

// wait is an event that is waited for.
type wait struct {
	Wanted
	id     string
	origin string    // the publisher, as its reference says; "" if that is no peer, or denies it
	until  time.Time // then it is given up
	wrong  []string  // members that sent another event; of who fetches it

	// guarded by the lock
	next  time.Time // when to ask
	tries int
	busy  bool // someone fetches it
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
		origins: map[string]int{},
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
	var given *wait
	if !known && full {
		if given = b.giveUp(); given != nil {
			full = false
		}
	}
	if !known && !full {
		// It may be on its way over a link; and not all ask at the same time.
		grace := b.cfg.grace/4 + time.Duration(b.cfg.rand.Int64N(int64(b.cfg.grace)*3/4+1))
		added := &wait{Wanted: w, id: id, next: now.Add(grace), until: now.Add(b.cfg.patience)}
		if b.cfg.Peer(w.Origin) {
			added.origin = w.Origin
		}
		b.waiting[id] = added
		b.origins[added.origin]++
	}
	b.mu.Unlock()
	if given != nil {
		b.lose(&given.Wanted, tooMany)
	}
	switch {
	case known:
	case full:
		b.lose(&w, tooMany)
	default:
		b.poke()
	}
}

// tooMany is why an event is given up before its time.
const tooMany = "too many large events are waited for"

// giveUp forgets an event to make room for another: of the origin with most of them, the
// one that was asked for most often. So made-up references take the room of each other.
// It returns nil if all are being fetched. b.mu is held.
func (b *Bodies) giveUp() (given *wait) {
	for _, w := range b.waiting {
		if w.busy {
			continue
		}
		if given == nil {
			given = w
			continue
		}
		if c := cmp.Compare(b.origins[w.origin], b.origins[given.origin]); c > 0 || c == 0 && w.tries > given.tries {
			given = w
		}
	}
	if given != nil {
		b.remove(given)
	}
	return given
}

// remove takes an event off those that are waited for. b.mu is held.
func (b *Bodies) remove(w *wait) {
	if b.waiting[w.id] != w {
		return
	}
	delete(b.waiting, w.id)
	b.leaveOrigin(w)
}

// leaveOrigin does not count an event as its origin's any more. b.mu is held.
func (b *Bodies) leaveOrigin(w *wait) {
	if b.origins[w.origin]--; b.origins[w.origin] == 0 {
		delete(b.origins, w.origin)
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
	b.losses.add(loss{*w, reason}, b.cfg.Lost)
}

// Run fetches what is wanted until ctx ends.
func (b *Bodies) Run(ctx context.Context) error {
	defer b.losses.end(b.cfg.Lost)
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

// before tells whether an event is to be asked for before another. b.mu is held.
func (b *Bodies) before(w, other *wait, now time.Time) bool {
	if w.next.After(now) || other.next.After(now) {
		return w.next.Before(other.next)
	}
	return cmp.Or(cmp.Compare(b.origins[w.origin], b.origins[other.origin]), cmp.Compare(w.tries, other.tries), w.next.Compare(other.next)) < 0
}

// first takes an event that is due, or tells how long it is until one is. Of those that
// are due it is one of the origin with the fewest: somebody who makes up references is to
// hold up only those of the origin that they name.
func (b *Bodies) first(now time.Time) (due *wait, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.waiting {
		if w.busy {
			continue
		}
		if due == nil || b.before(w, due, now) {
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
