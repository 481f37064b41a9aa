package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
)

// took is how many user events came first by a way.
func (m *intakeMetrics) took(t *testing.T, w way) int {
	t.Helper()
	var out dto.Metric
	if err := m.events.WithLabelValues("user", w.String()).Write(&out); err != nil {
		t.Fatal(err)
	}
	return int(out.GetCounter().GetValue())
}

// An event that comes by several ways, in one batch or in several, is one
// event: for the journal, scripts and streams.
func TestCopiesAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		reg := prometheus.NewRegistry()
		m := newIntakeMetrics(reg)
		j := journal.New(journal.Config{})
		var seen, ran []string
		r := script.NewRunner("r", handler.Filters{{Type: "user"}}, logger, nil, func(_ context.Context, t script.Task) {
			ran = append(ran, t.Event.String())
		})
		drain := make(chan struct{})
		go r.Run(t.Context(), drain)
		in := newIntake(j, []*script.Runner{r}, noFailure(t), logger, m)
		in.Subscribe(func(e serf.Event) { seen = append(seen, e.String()) })
		end := runIntake(t, in)
		take := func(n int, w way) {
			if err := in.Take(t.Context(), user(n, false), w); err != nil {
				t.Error(err)
			}
		}
		take(1, local) // one batch
		in.ch <- user(1, false)
		take(1, byLink)
		synctest.Wait()
		take(1, byLink) // later ones
		synctest.Wait()
		in.ch <- user(2, false)
		synctest.Wait()
		take(2, byLink)
		take(2, byLink)
		take(3, byLink)
		synctest.Wait()
		in.ch <- user(3, false)
		in.ch <- &serf.Query{Name: "q"}
		in.ch <- &serf.Query{Name: "q"} // no copy: queries are told apart by serf
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		close(drain)
		r.Idle(t.Context())
		if len(seen) != 5 || len(ran) != 3 || j.Head() != 3 {
			t.Errorf("a stream has %v, a script %v, the journal %d; want 3 events each, and the stream 2 queries", seen, ran, j.Head())
		}
		for w, want := range map[way]struct{ first, copies int }{local: {1, 0}, byGossip: {1, 2}, byLink: {1, 4}} {
			if got := m.took(t, w); got != want.first {
				t.Errorf("%d came first by %s, want %d", got, w, want.first)
			}
			if got := testkit.Counter(t, reg, "agentctl_events_copies_total", w.String()); int(got) != want.copies {
				t.Errorf("%v copies by %s, want %d", got, w, want.copies)
			}
		}
	})
}

// Who brings an event over a link or publishes it here waits while the queue is
// full, and loses nothing; or gives up when its context ends.
func TestTakeWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		hang := make(chan struct{})
		j := &stubJournal{wait: func() { <-hang }}
		reg := prometheus.NewRegistry()
		in := newIntake(j, nil, noFailure(t), logger, newIntakeMetrics(reg))
		end := runIntake(t, in)
		ctx, cancel := context.WithCancel(t.Context())
		if err := in.Take(ctx, user(0, false), byLink); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // that one is with the journal
		for n := range intakeQueue {
			if err := in.Take(ctx, user(1+n, false), byLink); err != nil {
				t.Fatal(err)
			}
		}
		const waiting = 10
		var wg sync.WaitGroup
		var mu sync.Mutex
		var gaveUp, came int
		for n := range 2 * waiting {
			wg.Go(func() {
				of, late := ctx, n%2 == 0
				if late {
					of = t.Context()
				}
				err := in.Take(of, user(1+intakeQueue+n, false), byLink)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && late:
					came++
				case errors.Is(err, context.Canceled) && !late:
					gaveUp++
				default:
					t.Errorf("%v", err)
				}
			})
		}
		time.Sleep(time.Hour)
		mu.Lock()
		if came+gaveUp != 0 {
			t.Errorf("%d did not wait", came+gaveUp)
		}
		mu.Unlock()
		cancel()
		synctest.Wait()
		mu.Lock()
		if gaveUp != waiting || came != 0 {
			t.Errorf("%d gave up and %d did not wait, want %d and 0", gaveUp, came, waiting)
		}
		mu.Unlock()
		close(hang)
		wg.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if want := 1 + intakeQueue + waiting; j.len() != want {
			t.Errorf("%d in the journal, want %d", j.len(), want)
		}
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "intake_full"); got != 0 || j.gap != 0 {
			t.Errorf("%v counted as lost, a gap of %d", got, j.gap)
		}
	})
}

// What serf brings meanwhile is not held up by those who wait.
func TestTakeLeavesSerfAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		hang := make(chan struct{})
		in := newIntake(&stubJournal{wait: func() { <-hang }}, nil, noFailure(t), logger, nil)
		end := runIntake(t, in)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for in.Take(ctx, user(1, false), byLink) == nil {
			}
		})
		synctest.Wait()
		for n := range 2 * intakeChan {
			in.ch <- user(n, false) // would end the test in a deadlock
		}
		synctest.Wait()
		if len(in.ch) > 0 {
			t.Errorf("%d events are left in serf's channel", len(in.ch))
		}
		cancel()
		close(hang)
		wg.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
}
