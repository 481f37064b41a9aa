package delivery

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// How a drain of 10 s ends for a target whose event failed once, and now waits for 5
// minutes, as the target asked for.
func TestDrain(t *testing.T) {
	busy := &target.PostError{Class: target.Retry, Status: 503, RetryAfter: 5 * time.Minute}
	down := &target.PostError{Class: target.Retry, Status: 503}
	nobody := &target.PostError{Class: target.Retry, Err: syscall.ECONNREFUSED}
	for name, tt := range map[string]struct {
		last     error // what the target answers from the drain on
		kept     bool
		attempts int           // at least, with the one before the drain
		takes    time.Duration // at most
		want     error
	}{
		"it takes the event":        {nil, false, 2, 0, nil},
		"it fails, and all is kept": {down, true, 2, 0, down},
		"nobody listens":            {nobody, false, 2, 0, nobody},
		"the next would be late":    {busy, false, 2, 0, busy},
		"it fails to the end":       {down, false, 5, 10 * time.Second, down},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				draining := false
				r := start(t, Config{Target: target.Target{MinBackoff: time.Second, MaxBackoff: time.Second}}, journal.Config{},
					func(context.Context, *handler.Event, int) error {
						if draining {
							return tt.last
						}
						return busy
					})
				journals.MustAppend(t, r.journal, journals.User(1, ""))
				time.Sleep(time.Second)
				testkit.Want(t, "attempts before", len(r.poster.attempts()), 1)
				draining = true
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				err := r.Drain(ctx, func() bool { return tt.kept })
				if took := time.Since(began); took > tt.takes {
					t.Errorf("it took %v, want %v at most", took, tt.takes)
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if n := len(r.poster.attempts()); n < tt.attempts || n > tt.attempts && tt.takes == 0 {
					t.Errorf("%d attempts, want %d", n, tt.attempts)
				}
			})
		})
	}
}

// An attempt that is under way when the drain begins goes to its end. If it fails, one
// more follows at once.
func TestDrainOfAnAttemptUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{MinBackoff: time.Hour, MaxBackoff: time.Hour}}, journal.Config{},
			func(_ context.Context, e *handler.Event, attempt int) error {
				time.Sleep(time.Second)
				if e.LTime == 1 && attempt == 1 {
					return refused
				}
				return nil
			})
		journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
		synctest.Wait()
		began := time.Now()
		if err := r.Drain(t.Context(), func() bool { return false }); err != nil {
			t.Error(err)
		}
		testkit.Want(t, "the drain took", time.Since(began), 3*time.Second)
	})
}

// A flush that is due comes before the events, and gets one more attempt, too. Beside
// an event that fails for long, others are delivered.
func TestDrainWithAFlushAndSeveralWorkers(t *testing.T) {
	late := &target.PostError{Class: target.Retry, Status: 503, RetryAfter: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		draining := false
		r := start(t, Config{Target: target.Target{
			Flush: &target.FlushRequest{}, Concurrency: 3, OrderKey: "payload",
		}}, journal.Config{}, func(_ context.Context, e *handler.Event, _ int) error {
			switch {
			case !draining && e.ID == flushID, string(e.Payload) == "fails":
				return late
			}
			time.Sleep(time.Second)
			return nil
		})
		if err := r.Flush("test"); err != nil {
			t.Fatal(err)
		}
		journals.MustAppend(t, r.journal, journals.User(1, "kong"))
		fails := journals.User(2, "kong")
		fails.Payload = []byte("fails")
		journals.MustAppend(t, r.journal, fails)
		for i := range uint64(5) {
			journals.MustAppend(t, r.journal, journals.User(3+i, "kong"))
		}
		time.Sleep(time.Minute)
		testkit.Want(t, "attempts before", r.poster.attempts(), []string{flushID})
		draining = true
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := r.Drain(ctx, func() bool { return false }); !errors.Is(err, late) {
			t.Error(err)
		}
		s := r.Status()
		testkit.Want(t, "flushes, delivered, waiting", []int{int(s.Flushes), int(s.Delivered), s.Waiting}, []int{1, 6, 1})
	})
}

// A delivery that has ended by itself, as the journal has, is not waited for.
func TestDrainOfADeliveryThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{}, journal.Config{}, func(context.Context, *handler.Event, int) error { return refused })
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		synctest.Wait()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := r.Drain(t.Context(), func() bool { return false }); !errors.Is(err, errEnded) {
			t.Error(err)
		}
		testkit.Want(t, "the drain took", time.Since(began), 0)
	})
}
