package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

// fakePoster answers attempts by a function, and notes when they were made.
type fakePoster struct {
	answer func(ctx context.Context, e *handler.Event, attempt int) error

	mu       sync.Mutex
	ids      []string    // of each attempt
	times    []time.Time // of each attempt
	inFlight int
	most     int // in flight at once
	closed   bool
}

func (p *fakePoster) Post(ctx context.Context, e *handler.Event) (target.Response, error) {
	p.mu.Lock()
	p.ids = append(p.ids, e.ID)
	p.times = append(p.times, time.Now())
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	n := 0
	for _, id := range p.ids {
		if id == e.ID {
			n++
		}
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.inFlight--
		p.mu.Unlock()
	}()
	if p.answer == nil {
		return target.Response{Status: 200}, nil
	}
	if err := p.answer(ctx, e, n); err != nil {
		return target.Response{}, err
	}
	return target.Response{Status: 200}, nil
}

// Flush is an attempt, too, of an event that has the ID of flushes.
func (p *fakePoster) Flush(ctx context.Context, self *handler.Event) (target.Response, error) {
	return p.Post(ctx, &handler.Event{ID: flushID, Payload: self.Body()})
}

const flushID = "flush"

func (p *fakePoster) Close() { p.closed = true }

func (p *fakePoster) attempts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ids)
}

// rig is a Delivery over a Journal, run in a synctest bubble.
type rig struct {
	*Delivery
	journal *journal.Journal
	poster  *fakePoster
	log     *testkit.LogBuffer
	wait    func() error // for Run's end; returns what it did
	stop    func() error // ends Run, and waits
}

func start(t *testing.T, cfg Config, limits journal.Config, answer func(ctx context.Context, e *handler.Event, attempt int) error) *rig {
	t.Helper()
	r := &rig{journal: journal.New(limits), poster: &fakePoster{answer: answer}, log: &testkit.LogBuffer{}}
	cfg.Journal = r.journal
	cfg.Logger = r.log.Logger()
	if cfg.Target.URL == "" {
		cfg.Target.URL = "http://127.0.0.1:8001/cluster/events/"
	}
	var err error
	if r.Delivery, err = newDelivery(cfg, r.poster); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.wait = sync.OnceValue(func() error { return <-done })
	r.stop = func() error { cancel(); return r.wait() }
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if !r.poster.closed {
			t.Error("the poster is not closed")
		}
	})
	return r
}

func (r *rig) idle(t *testing.T) {
	t.Helper()
	if err := r.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var refused = &target.PostError{Class: target.Retry, Err: errors.New("connection refused")}
