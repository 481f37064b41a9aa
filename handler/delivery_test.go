package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// fakePoster answers attempts by a function, and notes when they were made.
type fakePoster struct {
	answer func(ctx context.Context, e *Event, attempt int) error

	mu       sync.Mutex
	ids      []string    // of each attempt
	times    []time.Time // of each attempt
	inFlight int
	most     int // in flight at once
	closed   bool
}

func (p *fakePoster) Post(ctx context.Context, e *Event) (Response, error) {
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
		return Response{Status: 200}, nil
	}
	if err := p.answer(ctx, e, n); err != nil {
		return Response{}, err
	}
	return Response{Status: 200}, nil
}

func (p *fakePoster) Close() { p.closed = true }

func (p *fakePoster) attempts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ids)
}

// logLines collects a log as JSON lines.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logLines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// with returns the lines whose message contains text.
func (l *logLines) with(t testing.TB, text string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var got []map[string]any
	for line := range bytes.Lines(l.buf.Bytes()) {
		m := map[string]any{}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if strings.Contains(m["msg"].(string), text) {
			got = append(got, m)
		}
	}
	return got
}

// rig is a Delivery over a Memory, run in a synctest bubble.
type rig struct {
	*Delivery
	journal *Memory
	poster  *fakePoster
	log     *logLines
	stop    func() error // ends Run and returns what it did
}

func start(t *testing.T, cfg DeliveryConfig, limits MemoryConfig, answer func(ctx context.Context, e *Event, attempt int) error) *rig {
	t.Helper()
	r := &rig{journal: NewMemory(limits), poster: &fakePoster{answer: answer}, log: &logLines{}}
	cfg.Journal = r.journal
	cfg.Logger = r.log.logger()
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
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
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

var refused = &PostError{Class: Retry, Err: errors.New("connection refused")}

func TestDeliveryInOrderOneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: Target{Filters: Filters{{User, "kong"}}}}, MemoryConfig{},
			func(_ context.Context, e *Event, attempt int) error {
				time.Sleep(time.Millisecond)
				switch {
				case e.LTime%5 == 2 && attempt < 3:
					return refused
				case e.LTime%5 == 3:
					return &PostError{Class: Bury, Status: 400}
				}
				return nil
			})
		var wanted []string
		for i := range uint64(50) {
			e := user(i, "kong")
			mustAppend(t, r.journal, e, user(i, "other"))
			wanted = append(wanted, e.ID)
		}
		r.idle(t)
		want(t, "order", slices.Compact(r.poster.attempts()), wanted)
		want(t, "in flight at once", r.poster.most, 1)
		s := r.Status()
		want(t, "counts", []uint64{s.Delivered, s.Retried, s.Buried, s.Lost, uint64(s.Waiting)}, []uint64{40, 20, 10, 0, 0})
	})
}

func TestDeliveryBacksOffWithFullJitter(t *testing.T) {
	const attempts = 16
	ceilings := []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000}
	upperHalf, lowerHalf := 0, 0
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, DeliveryConfig{}, MemoryConfig{}, func(_ context.Context, _ *Event, attempt int) error {
				if attempt < attempts {
					return refused
				}
				return nil
			})
			mustAppend(t, r.journal, user(1, ""))
			r.idle(t)
			times := r.poster.times
			want(t, "attempts", len(times), attempts)
			for i := range attempts - 1 {
				ceiling := ceilings[min(i, len(ceilings)-1)] * time.Millisecond
				wait := times[i+1].Sub(times[i])
				if wait > ceiling {
					t.Errorf("waited %v after attempt %d, more than %v", wait, i+1, ceiling)
				}
				if wait > ceiling/2 {
					upperHalf++
				} else {
					lowerHalf++
				}
			}
		})
	}
	// 300 fair draws: fewer than 100 in a half has a chance below 1e-8.
	if upperHalf < 100 || lowerHalf < 100 {
		t.Errorf("%d waits above half of the ceiling and %d below", upperHalf, lowerHalf)
	}
}

func TestBackoffCeiling(t *testing.T) {
	b := backoff{3 * time.Second, 10 * time.Second}
	for attempt, want := range map[int]time.Duration{1: 3e9, 2: 6e9, 3: 10e9, 4: 10e9, 1 << 20: 10e9} {
		if got := b.ceiling(attempt); got != want {
			t.Errorf("after %d: %v, want %v", attempt, got, want)
		}
	}
	if got := (backoff{1, 1 << 62}).ceiling(500); got != 1<<62 {
		t.Errorf("overflow: %v", got)
	}
}

func TestDeliveryHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{}, MemoryConfig{}, func(_ context.Context, _ *Event, attempt int) error {
			if attempt == 1 {
				return &PostError{Class: Retry, Status: 429, RetryAfter: time.Minute}
			}
			return nil
		})
		mustAppend(t, r.journal, user(1, ""))
		r.idle(t)
		want(t, "wait", r.poster.times[1].Sub(r.poster.times[0]), time.Minute)
	})
}

func TestDeliveryStopsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ *Event, _ int) error { <-ctx.Done(); return ctx.Err() }
		r := start(t, DeliveryConfig{}, MemoryConfig{}, hang)
		mustAppend(t, r.journal, user(1, ""), user(2, ""))
		synctest.Wait()
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		want(t, "stopping took", time.Since(began), 0)
		want(t, "delivered", r.Status().Delivered, 0)
		mustAppend(t, r.journal, user(3, ""))

		// The next delivery to the target begins with the event cut off.
		again, err := newDelivery(DeliveryConfig{Target: r.cfg.Target, Journal: r.journal}, &fakePoster{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- again.Run(ctx) }()
		if err := again.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want(t, "delivered by the next", again.Status().Delivered, 3)
	})
}

func TestDeliveryStopsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: Target{MinBackoff: time.Hour, MaxBackoff: time.Hour}}, MemoryConfig{},
			func(context.Context, *Event, int) error { return refused })
		mustAppend(t, r.journal, user(1, ""))
		synctest.Wait()
		began := time.Now()
		r.stop()
		want(t, "stopping took", time.Since(began), 0)
		want(t, "waiting", r.Status().Waiting, 1)
	})
}

func TestDeliveryEndsWithItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := NewMemory(MemoryConfig{})
		d, err := newDelivery(DeliveryConfig{Target: Target{Name: "gw", URL: "http://h"}, Journal: j}, &fakePoster{})
		if err != nil {
			t.Fatal(err)
		}
		j.Close()
		if err := d.Run(t.Context()); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "gw") {
			t.Errorf("%v", err)
		}
	})
}

func TestDeliveryIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := start(t, DeliveryConfig{}, MemoryConfig{}, func(ctx context.Context, _ *Event, _ int) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		r.idle(t) // nothing yet: at once
		mustAppend(t, r.journal, user(1, ""), user(2, ""))
		idle := make(chan error, 2)
		for range 2 {
			go func() { idle <- r.Idle(t.Context()) }()
		}
		for range 2 {
			synctest.Wait()
			if len(idle) > 0 {
				t.Fatal("idle with an event in flight")
			}
			release <- struct{}{}
		}
		synctest.Wait()
		want(t, "waiters told", len(idle), 2)

		mustAppend(t, r.journal, user(3, ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.Idle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestDeliveryReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{}, MemoryConfig{}, nil)
		events := []Event{user(1, ""), user(2, ""), user(3, "")}
		mustAppend(t, r.journal, events...)
		r.idle(t)
		if err := r.Replay(2); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		want(t, "posted", r.poster.attempts(), []string{events[0].ID, events[1].ID, events[2].ID, events[1].ID, events[2].ID})
	})
}

func TestDeliveryHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		r := start(t, DeliveryConfig{
			OnDelivered: func(e Event, took time.Duration) { got = append(got, fmt.Sprint(e.LTime, " took ", took)) },
			OnFailed:    func(e Event, err *PostError) { got = append(got, fmt.Sprint(e.LTime, " ", err.Class, " ", err)) },
		}, MemoryConfig{}, func(_ context.Context, e *Event, attempt int) error {
			time.Sleep(time.Second)
			switch {
			case e.LTime == 1 && attempt == 1:
				return refused
			case e.LTime == 2:
				return &PostError{Class: Bury, Status: 404}
			}
			return nil
		})
		mustAppend(t, r.journal, user(1, ""), user(2, ""))
		r.idle(t)
		synctest.Wait()
		want(t, "calls", got, []string{"1 retry connection refused", "1 took 1s", "2 bury answered 404 Not Found"})
	})
}

func TestNewDeliveryErrors(t *testing.T) {
	j := NewMemory(MemoryConfig{})
	if _, err := NewDelivery(DeliveryConfig{Target: Target{URL: "nonsense"}, Journal: j}); err == nil {
		t.Error("takes a bad target")
	}
	cfg := DeliveryConfig{Target: Target{Name: "gw", URL: "http://h"}, Journal: j}
	if _, err := NewDelivery(cfg); err != nil {
		t.Error(err)
	}
	if _, err := NewDelivery(cfg); !errors.Is(err, ErrCursorInUse) || !strings.Contains(err.Error(), "gw") {
		t.Errorf("two of one name: %v", err)
	}
}

func TestDeliveryMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		hold := make(chan struct{})
		r := start(t, DeliveryConfig{Target: Target{Name: "gw"}, Metrics: NewMetrics(reg)}, MemoryConfig{MaxPending: 6},
			func(ctx context.Context, e *Event, attempt int) error {
				switch {
				case e.LTime == 2 && attempt < 4:
					return refused
				case e.LTime == 3:
					return &PostError{Class: Bury, Status: 400}
				case e.LTime == 4:
					select {
					case <-hold:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			})
		gather := func() map[string]float64 {
			t.Helper()
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					if len(m.GetLabel()) != 1 || m.GetLabel()[0].GetName() != "target" || m.GetLabel()[0].GetValue() != "gw" {
						t.Errorf("%s has the labels %v", f.GetName(), m.GetLabel())
					}
					got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
			return got
		}
		for i := uint64(1); i <= 4; i++ {
			mustAppend(t, r.journal, user(i, ""))
		}
		time.Sleep(time.Hour)
		for i := uint64(5); i <= 12; i++ {
			mustAppend(t, r.journal, user(i, ""))
		}
		want(t, "metrics", gather(), map[string]float64{
			"agentctl_target_events_delivered_total":    2,
			"agentctl_target_events_retried_total":      3,
			"agentctl_target_events_buried_total":       1,
			"agentctl_target_events_lost_total":         3,
			"agentctl_target_events_waiting":            6,
			"agentctl_target_delivery_duration_seconds": 2,
		})
		close(hold)
		r.idle(t)
		if got := gather()["agentctl_target_events_waiting"]; got != 0 {
			t.Errorf("waiting %v", got)
		}
		r.stop()
		want(t, "after the end", gather(), map[string]float64{})
	})
}
