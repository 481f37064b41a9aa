package handler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler/backoff"
)

// flushed is a target that has a flush, and takes n events at once.
func flushed(n int) Target { return Target{Name: "gw", Concurrency: n, Flush: &FlushRequest{}} }

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

func mustGap(t testing.TB, j *Memory, n uint64, reason string) {
	t.Helper()
	if err := j.Gap(n, reason); err != nil {
		t.Fatal(err)
	}
}

// A gateway was away while more came than may wait: after its return there is
// one flush, and then what waits comes in order.
func TestFlushAfterOverflow(t *testing.T) {
	for _, n := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			away := true
			reg := prometheus.NewPedanticRegistry()
			r := start(t, DeliveryConfig{Target: flushed(n), Metrics: NewMetrics(reg)}, MemoryConfig{MaxPending: 10},
				func(context.Context, *Event, int) error {
					if away {
						return refused
					}
					return nil
				})
			began := time.Now()
			for i := uint64(1); i <= 30; i++ {
				mustAppend(t, r.journal, NewMember(MemberJoin, fmt.Sprint(i), nil, time.Now()))
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
			want(t, "stale", gathered(t, reg)["agentctl_target_stale"], 1)
			before := len(r.poster.attempts())
			want(t, "no event is tried once a flush is due", r.poster.attempts()[before-3:], []string{flushID, flushID, flushID})
			away = false
			r.idle(t)
			after := r.poster.attempts()[before:]
			// What was in flight as it began was not lost.
			wanted := []string{flushID, "1"}
			for i := 22; i <= 30; i++ {
				wanted = append(wanted, fmt.Sprint(i))
			}
			want(t, "after its return", after, wanted)
			synctest.Wait()
			s = r.Status()
			if s.State != StateOK || !s.GapSince.IsZero() || s.GapReason != "" || s.Lost != 20 || s.Flushes != 1 || s.LastFlush.IsZero() || s.Attempts != 0 {
				t.Errorf("after: %+v", s)
			}
			got := gathered(t, reg)
			want(t, "metrics", []float64{got["agentctl_target_stale"], got["agentctl_target_flushes_total success"], got["agentctl_target_flushes_total retried"]},
				[]float64{0, 1, float64(s.FlushesRetried)})
			want(t, "lines of the flush", len(r.log.with(t, "was flushed")), 1)
			if lines := r.log.with(t, "fails its flush"); len(lines) == 0 || len(lines) > 5 {
				t.Errorf("%d lines of failure for %d attempts", len(lines), s.FlushesRetried)
			}
			time.Sleep(time.Hour)
			away = true
			mustGap(t, r.journal, 1, "again")
			synctest.Wait()
			want(t, "attempts are counted anew", r.Status().Attempts, 1)
		})
	}
}

// A gap without any event behind it is flushed too, for its reason, once.
func TestFlushOfAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{}, nil)
		mustGap(t, r.journal, 0, "history is gone\n")
		mustAppend(t, r.journal, user(1, ""))
		r.idle(t)
		time.Sleep(time.Hour)
		want(t, "attempts", r.poster.attempts(), []string{flushID, user(1, "").ID})
		lines := r.log.with(t, "")
		want(t, "lines", len(lines), 2)
		want(t, "told", []any{lines[0]["level"], lines[0]["reason"], lines[0]["lost"], lines[1]["level"], lines[1]["reason"]},
			[]any{"ERROR", "history is gone", 0.0, "INFO", "history is gone"})

		// The next Delivery has nothing to tell or to do of it.
		r.stop()
		log, p := &logLines{}, &fakePoster{}
		next, err := newDelivery(DeliveryConfig{Target: r.cfg.Target, Journal: r.journal, Logger: log.logger()}, p)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := next.Run(ctx); err != nil || len(log.with(t, "")) != 0 || len(p.ids) != 0 {
			t.Errorf("%v, %d lines, attempts %v", err, len(log.with(t, "")), p.ids)
		}
	})
}

// A flush that waits for an attempt does not begin once the delivery ends.
func TestNoFlushAfterFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{}, func(ctx context.Context, e *Event, _ int) error {
			return backoff.Sleep(ctx, time.Second)
		})
		mustAppend(t, r.journal, user(1, ""))
		synctest.Wait()
		mustGap(t, r.journal, 1, "lost")
		synctest.Wait()
		r.Finish()
		if err := r.wait(); err != nil {
			t.Error(err)
		}
		want(t, "attempts", r.poster.attempts(), []string{user(1, "").ID})
		want(t, "state", r.Status().State, StateFlushing)
	})
}

// What is lost during a flush is not covered by it.
func TestFlushAgainForWhatWasLostMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{}, func(ctx context.Context, e *Event, _ int) error {
			return backoff.Sleep(ctx, time.Second)
		})
		began := time.Now()
		mustGap(t, r.journal, 1, "one")
		time.Sleep(time.Second / 2)
		mustAppend(t, r.journal, user(1, ""))
		mustGap(t, r.journal, 1, "two")
		time.Sleep(time.Second/2 + 1)
		s := r.Status()
		if s.State != StateFlushing || !s.GapSince.Equal(began) || s.GapReason != "two" || s.Flushes != 1 {
			t.Errorf("between the flushes: %+v", s)
		}
		r.idle(t)
		want(t, "attempts", r.poster.attempts(), []string{flushID, flushID, user(1, "").ID})
		want(t, "the pause between them", r.poster.times[1].Sub(r.poster.times[0]), time.Second+DefaultMinBackoff)
	})
}

// A flush waits for the attempts under way, and all attempts for the flush; an
// event that fails for ever holds up no flush.
func TestFlushIsABarrier(t *testing.T) {
	for _, n := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			attempting, flushing := 0, 0
			r := start(t, DeliveryConfig{Target: flushed(n)}, MemoryConfig{}, func(ctx context.Context, e *Event, attempt int) error {
				at := &attempting
				if e.ID == flushID {
					at = &flushing
				}
				count := func(n int) {
					mu.Lock()
					defer mu.Unlock()
					*at += n
					if flushing > 1 || flushing == 1 && attempting > 0 {
						t.Errorf("%d flushes and %d attempts at once", flushing, attempting)
					}
				}
				count(1)
				defer count(-1)
				if err := backoff.Sleep(ctx, 100*time.Millisecond); err != nil {
					return err
				}
				if e.LTime == 3 {
					return refused // for ever
				}
				return nil
			})
			for i := range uint64(20) {
				mustAppend(t, r.journal, user(i, ""))
			}
			for range 10 {
				time.Sleep(time.Minute / 2)
				mustGap(t, r.journal, 1, "lost")
			}
			time.Sleep(time.Minute)
			if s := r.Status(); s.Flushes != 10 || s.State != StateRetrying || s.Retried == 0 || s.Waiting == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// While more comes than the target takes, flushes keep a distance.
func TestFlushesKeepADistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{MaxPending: 10},
			func(ctx context.Context, e *Event, _ int) error { return backoff.Sleep(ctx, 100*time.Millisecond) })
		for i := range uint64(10 * 60 * 20) { // ten minutes of twice as much
			mustAppend(t, r.journal, user(i, ""))
			time.Sleep(50 * time.Millisecond)
		}
		r.idle(t)
		s := r.Status()
		// 9 that come closer, and then one every 30 s.
		if s.State != StateOK || s.Flushes < 20 || s.Flushes > 30 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		mustGap(t, r.journal, 1, "much later")
		began := time.Now()
		r.idle(t)
		want(t, "after a quiet hour", time.Since(began), 100*time.Millisecond)
	})
}

// A flush that is refused for good is given up: the target is stale, its events
// go on, and it is asked again when more is lost, though not for each loss.
func TestFlushRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := error(&PostError{Class: Bury, Status: 404, Body: []byte("no such page")})
		r := start(t, DeliveryConfig{Target: flushed(1)}, MemoryConfig{}, func(_ context.Context, e *Event, _ int) error {
			if e.ID == flushID {
				return answer
			}
			return nil
		})
		began := time.Now()
		for i := range uint64(50) { // within the time that a refusal holds
			mustGap(t, r.journal, 1, "lost")
			mustAppend(t, r.journal, user(i, ""))
			r.idle(t)
			time.Sleep(time.Second)
		}
		s := r.Status()
		if s.State != StateStale || !s.Since.Equal(began) || s.FlushesRefused != 1 || s.Flushes != 0 || s.Delivered != 50 || s.LastError != "flush: answered 404 Not Found: no such page" {
			t.Errorf("%+v", s)
		}
		want(t, "first of all", r.firsts()[:2], []string{flushID, user(0, "").ID})
		time.Sleep(10*time.Second + 1)
		want(t, "asked again for what was lost meanwhile", r.Status().FlushesRefused, 2)
		time.Sleep(time.Hour)
		want(t, "and not without a loss", r.Status().FlushesRefused, 2)
		lines := r.log.with(t, "refused its flush")
		want(t, "lines", len(lines), 2)
		want(t, "told", []any{lines[0]["level"], lines[0]["status"], lines[0]["answer"]}, []any{"ERROR", 404.0, "no such page"})

		answer = nil
		mustGap(t, r.journal, 1, "lost")
		r.idle(t)
		if s := r.Status(); s.State != StateOK || s.Flushes != 1 {
			t.Errorf("put right: %+v", s)
		}
	})
}
