package delivery

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// flushed is a target that has a flush, and takes n events at once.
func flushed(n int) target.Target {
	return target.Target{Name: "gw", Concurrency: n, Flush: &target.FlushRequest{}}
}

// firsts is the first attempt of each event, and each flush that follows one.
func (r *rig) firsts() []string {
	var out []string
	for _, id := range r.poster.attempts() {
		if n := len(out); id == flushID && (n == 0 || out[n-1] != flushID) || id != flushID && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// A gateway was away while more came than may wait: after its return there is
// one flush, and then what waits comes in order.
func TestFlushAfterOverflow(t *testing.T) {
	for _, n := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			away := true
			reg := prometheus.NewPedanticRegistry()
			r := start(t, Config{Target: flushed(n), Metrics: NewMetrics(reg)}, journal.Config{MaxPending: 10},
				func(context.Context, *handler.Event, int) error {
					if away {
						return refused
					}
					return nil
				})
			began := time.Now()
			for i := uint64(1); i <= 30; i++ {
				journals.MustAppend(t, r.journal, handler.NewMember(handler.MemberJoin, fmt.Sprint(i), nil, time.Now()))
				time.Sleep(time.Second)
			}
			s := r.Status()
			since := began.Add(10 * time.Second)
			if s.State != StateFlushing || !s.Since.Equal(since) || !s.GapSince.Equal(since) || s.GapReason != "more events waited than the limit allows" || s.Lost != 20 || s.Waiting != 10 {
				t.Errorf("away: %+v", s)
			}
			if s.Attempts < int(s.FlushesRetried) || s.FlushesRetried < 3 || s.Flushes != 0 || s.LastError != "flush: connection refused" {
				t.Errorf("flushes while it is away: %+v", s)
			}
			testkit.Want(t, "stale", gathered(t, reg)["agentctl_target_stale"], 1)
			before := len(r.poster.attempts())
			testkit.Want(t, "no event is tried once a flush is due", r.poster.attempts()[before-3:], []string{flushID, flushID, flushID})
			away = false
			r.idle(t)
			after := r.poster.attempts()[before:]
			// What was in flight as it began was not lost.
			wanted := []string{flushID, "1"}
			for i := 22; i <= 30; i++ {
				wanted = append(wanted, fmt.Sprint(i))
			}
			testkit.Want(t, "after its return", after, wanted)
			synctest.Wait()
			s = r.Status()
			if s.State != StateOK || !s.GapSince.IsZero() || s.GapReason != "" || s.Lost != 20 || s.Flushes != 1 || s.LastFlush.IsZero() || s.Attempts != 0 {
				t.Errorf("after: %+v", s)
			}
			got := gathered(t, reg)
			testkit.Want(t, "metrics", []float64{got["agentctl_target_stale"], got["agentctl_target_flushes_total success"], got["agentctl_target_flushes_total retried"]},
				[]float64{0, 1, float64(s.FlushesRetried)})
			testkit.Want(t, "lines of the flush", len(r.log.With(t, "was flushed")), 1)
			if lines := r.log.With(t, "fails its flush"); len(lines) == 0 || len(lines) > 5 {
				t.Errorf("%d lines of failure for %d attempts", len(lines), s.FlushesRetried)
			}
			time.Sleep(time.Hour)
			away = true
			journals.MustGap(t, r.journal, 1, "again")
			synctest.Wait()
			testkit.Want(t, "attempts are counted anew", r.Status().Attempts, 1)
		})
	}
}

// A gap without any event behind it is flushed too, for its reason, once.
func TestFlushOfAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, nil)
		journals.MustGap(t, r.journal, 0, "history is gone\n")
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		r.idle(t)
		time.Sleep(time.Hour)
		testkit.Want(t, "attempts", r.poster.attempts(), []string{flushID, journals.User(1, "").ID})
		lines := r.log.With(t, "")
		testkit.Want(t, "lines", len(lines), 2)
		testkit.Want(t, "told", []any{lines[0]["level"], lines[0]["reason"], lines[0]["lost"], lines[1]["level"], lines[1]["reason"]},
			[]any{"ERROR", "history is gone", 0.0, "INFO", "history is gone"})

		// The next Delivery has nothing to tell or to do of it.
		r.stop()
		log, p := &testkit.LogBuffer{}, &fakePoster{}
		next, err := newDelivery(Config{Target: r.cfg.Target, Journal: r.journal, Logger: log.Logger()}, p)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := next.Run(ctx); err != nil || len(log.With(t, "")) != 0 || len(p.ids) != 0 {
			t.Errorf("%v, %d lines, attempts %v", err, len(log.With(t, "")), p.ids)
		}
	})
}

// A flush that waits for an attempt does not begin once the delivery ends.
func TestNoFlushAfterFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, func(ctx context.Context, e *handler.Event, _ int) error {
			return backoff.Sleep(ctx, time.Second)
		})
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		synctest.Wait()
		journals.MustGap(t, r.journal, 1, "lost")
		synctest.Wait()
		r.Finish()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
		testkit.Want(t, "attempts", r.poster.attempts(), []string{journals.User(1, "").ID})
		testkit.Want(t, "state", r.Status().State, StateFlushing)
	})
}

// What is lost during a flush is not covered by it.
func TestFlushAgainForWhatWasLostMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, func(ctx context.Context, e *handler.Event, _ int) error {
			return backoff.Sleep(ctx, time.Second)
		})
		began := time.Now()
		journals.MustGap(t, r.journal, 1, "one")
		time.Sleep(time.Second / 2)
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		journals.MustGap(t, r.journal, 1, "two")
		time.Sleep(time.Second/2 + 1)
		s := r.Status()
		if s.State != StateFlushing || !s.GapSince.Equal(began) || s.GapReason != "two" || s.Flushes != 1 {
			t.Errorf("between the flushes: %+v", s)
		}
		r.idle(t)
		testkit.Want(t, "attempts", r.poster.attempts(), []string{flushID, journals.User(1, "").ID, flushID})
		// Of which the event had all but the first second, and the flush waited for it.
		testkit.Want(t, "the pause between them", r.poster.times[2].Sub(r.poster.times[0]), 2*time.Second)
	})
}

// After a flush that went well events go on, however soon the next loss comes and however
// long the flush for it has to wait. So whoever can cause losses cannot hold up events.
// The flush that is due then comes by itself.
func TestEventsGoOnBetweenFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, nil)
		var longest time.Duration
		for i := range uint64(10 * 60) {
			journals.MustGap(t, r.journal, 1, "somebody causes losses")
			time.Sleep(time.Second)
			sent, n := time.Now(), len(r.poster.attempts())
			journals.MustAppend(t, r.journal, journals.User(i, ""))
			testkit.WaitFor(t, "the event", func() bool { return slices.Contains(r.poster.attempts()[n:], journals.User(i, "").ID) })
			longest = max(longest, time.Since(sent))
		}
		if longest > 10*time.Millisecond {
			t.Errorf("an event took %v", longest)
		}
		if s := r.Status(); s.State != StateFlushing || s.Flushes < 20 || s.Flushes > 30 {
			t.Errorf("%+v", s)
		}
		r.idle(t)
		testkit.Want(t, "state", r.Status().State, StateOK)
	})
}

// While more comes than the target takes, flushes keep a distance.
func TestFlushesKeepADistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: flushed(1)}, journal.Config{MaxPending: 10},
			func(ctx context.Context, e *handler.Event, _ int) error {
				return backoff.Sleep(ctx, 100*time.Millisecond)
			})
		waits := 0
		for i := range uint64(10 * 60 * 20) { // ten minutes of twice as much
			journals.MustAppend(t, r.journal, journals.User(i, ""))
			time.Sleep(50 * time.Millisecond)
			if s := r.Status(); !s.NextAttempt.IsZero() {
				waits++
				testkit.Want(t, "state, and why the next flush waits", []any{s.State, s.NextWhy}, []any{StateFlushing, WhyFlushed})
			}
		}
		if waits == 0 {
			t.Error("no flush waits")
		}
		r.idle(t)
		s := r.Status()
		// 9 that come closer, and then one every 30 s.
		if s.State != StateOK || s.Flushes < 20 || s.Flushes > 30 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		journals.MustGap(t, r.journal, 1, "much later")
		began := time.Now()
		r.idle(t)
		testkit.Want(t, "after a quiet hour", time.Since(began), 100*time.Millisecond)
	})
}

// A flush that is refused for good is given up: the target is stale, its events
// go on, and it is asked again when more is lost, though not for each loss.
func TestFlushRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := error(&target.PostError{Class: target.Bury, Status: 404, Body: []byte("no such page")})
		r := start(t, Config{Target: flushed(1)}, journal.Config{}, func(_ context.Context, e *handler.Event, _ int) error {
			if e.ID == flushID {
				return answer
			}
			return nil
		})
		began := time.Now()
		for i := range uint64(50) { // within the time that a refusal holds
			journals.MustGap(t, r.journal, 1, "lost")
			journals.MustAppend(t, r.journal, journals.User(i, ""))
			r.idle(t)
			time.Sleep(time.Second)
		}
		s := r.Status()
		if s.State != StateStale || !s.Since.Equal(began) || s.FlushesRefused != 1 || s.Flushes != 0 || s.Delivered != 50 || s.LastError != "flush: answered 404 Not Found: no such page" {
			t.Errorf("%+v", s)
		}
		testkit.Want(t, "first of all", r.firsts()[:2], []string{flushID, journals.User(0, "").ID})
		time.Sleep(10*time.Second + 1)
		testkit.Want(t, "asked again for what was lost meanwhile", r.Status().FlushesRefused, 2)
		time.Sleep(time.Hour)
		testkit.Want(t, "and not without a loss", r.Status().FlushesRefused, 2)
		lines := r.log.With(t, "refused its flush")
		testkit.Want(t, "lines", len(lines), 2)
		testkit.Want(t, "told", []any{lines[0]["level"], lines[0]["status"], lines[0]["answer"]}, []any{"ERROR", 404.0, "no such page"})

		answer = nil
		journals.MustGap(t, r.journal, 1, "lost")
		r.idle(t)
		if s := r.Status(); s.State != StateOK || s.Flushes != 1 {
			t.Errorf("put right: %+v", s)
		}
	})
}
