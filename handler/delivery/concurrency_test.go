package delivery

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// keyed is a user event with a key; with "" it has none.
func keyed(ltime uint64, key string) handler.Event {
	payload := fmt.Appendf(nil, `{"n":%d}`, ltime)
	if key != "" {
		payload = fmt.Appendf(nil, `{"k":%q,"n":%d}`, key, ltime)
	}
	return handler.NewUser(ltime, "kong", payload, time.Time{})
}

// several is a target that takes n events at once, with the key of keyed.
func several(n int) target.Target { return target.Target{Concurrency: n, OrderKey: "k"} }

func appendKeyed(t *testing.T, r *rig, keys ...string) {
	t.Helper()
	events := make([]handler.Event, len(keys))
	for i, key := range keys {
		events[i] = keyed(r.journal.Head()+uint64(i)+1, key)
	}
	journals.MustAppend(t, r.journal, events...)
}

// What is under way at Finish comes to its end, and nothing begins after.
func TestFinishSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: several(4)}, journal.Config{}, func(ctx context.Context, e *handler.Event, _ int) error {
			if e.LTime == 4 {
				return refused // it waits for its next attempt, which is not made
			}
			return backoff.Sleep(ctx, time.Duration(e.LTime)*time.Second)
		})
		appendKeyed(t, r, "a", "b", "c", "d", "e", "f")
		synctest.Wait()
		began := time.Now()
		testkit.Want(t, "in flight", r.Status().InFlight, 4)
		r.Finish()
		testkit.Want(t, "error", r.wait(), nil)
		testkit.Want(t, "it took", time.Since(began), 3*time.Second)
		s := r.Status()
		testkit.Want(t, "delivered, waiting, in flight", []int{int(s.Delivered), s.Waiting, s.InFlight}, []int{3, 3, 0})
		testkit.Want(t, "attempts", len(r.poster.attempts()), 4)
	})
}

// A target that asks for a pause gets no more attempts than it takes at once.
func TestRetryAfterSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := start(t, Config{Target: several(4)}, journal.Config{}, func(context.Context, *handler.Event, int) error {
			if time.Since(began) < time.Minute {
				return &target.PostError{Class: target.Retry, Status: 429, RetryAfter: time.Minute}
			}
			return nil
		})
		for i := range 20 {
			appendKeyed(t, r, fmt.Sprint(i))
		}
		time.Sleep(time.Minute - 1)
		testkit.Want(t, "attempts within the minute", len(r.poster.attempts()), 4)
		s := r.Status()
		testkit.Want(t, "state, attempts, in flight", []any{s.State, s.Attempts, s.InFlight}, []any{StateRetrying, 1, 4})
		r.idle(t)
		testkit.Want(t, "attempts in all", len(r.poster.attempts()), 24)
	})
}

// A key that fails for ever stops nothing else until the window is full of
// events that wait for it.
func TestWindow(t *testing.T) {
	for ofA, delivered := range map[int]uint64{maxTaken - 1: 10, maxTaken: 0} {
		synctest.Test(t, func(t *testing.T) {
			up := time.Now().Add(time.Hour)
			r := start(t, Config{Target: several(3)}, journal.Config{}, func(_ context.Context, e *handler.Event, _ int) error {
				if e.LTime == 1 && time.Now().Before(up) {
					return refused
				}
				return nil
			})
			for range ofA {
				appendKeyed(t, r, "a")
			}
			for range 10 {
				appendKeyed(t, r, "b")
			}
			time.Sleep(time.Minute)
			testkit.Want(t, fmt.Sprintf("delivered behind %d", ofA), r.Status().Delivered, delivered)
			r.idle(t)
			testkit.Want(t, "in the end", r.Status().Delivered, uint64(ofA+10))
		})
	}
}

// One time of failure is one line at its beginning and one at its end, however
// many events have part in it.
func TestOutageSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		gateway := several(3)
		gateway.MinBackoff, gateway.MaxBackoff = time.Second, time.Second
		r := start(t, Config{Target: gateway}, journal.Config{}, func(_ context.Context, e *handler.Event, attempt int) error {
			// 1 fails at 0, 10, 20 and 30 s, 2 at 12 s.
			switch {
			case e.LTime == 1 && attempt <= 4:
				return &target.PostError{Class: target.Retry, Status: 503, RetryAfter: 10 * time.Second}
			case e.LTime == 2 && attempt == 1:
				time.Sleep(12 * time.Second)
				return &target.PostError{Class: target.Retry, Status: 429, RetryAfter: 30 * time.Second}
			}
			return nil
		})
		appendKeyed(t, r, "a", "b", "c")
		check := func(at time.Duration, state State, since time.Duration, attempts int, lastError string) {
			t.Helper()
			time.Sleep(time.Until(began.Add(at)))
			s := r.Status()
			testkit.Want(t, "status", []any{s.State, s.Since.Sub(began), s.Attempts, s.LastError}, []any{state, since, attempts, lastError})
		}
		const busy, down = "answered 429 Too Many Requests", "answered 503 Service Unavailable"
		check(time.Second, StateRetrying, 0, 1, down)
		testkit.Want(t, "delivered beside", r.Status().Delivered, 1)
		check(13*time.Second, StateRetrying, 0, 2, busy)
		check(31*time.Second, StateRetrying, 0, 4, down)
		check(41*time.Second, StateRetrying, 0, 4, down) // 1 is settled
		check(43*time.Second, StateOK, 42*time.Second, 0, down)

		lines := slices.DeleteFunc(r.log.With(t, ""), func(line map[string]any) bool { return line["msg"] == failedLong })
		testkit.Want(t, "lines", len(lines), 4)
		for i, told := range [][]any{{"INFO", 1.0, 1.0}, {"WARN", 2.0, 1.0}, {"WARN", 4.0, 2.0}} {
			testkit.Want(t, fmt.Sprint("line ", i), []any{lines[i]["level"], lines[i]["attempts"], lines[i]["failing"]}, told)
		}
		testkit.Want(t, "last line", []any{lines[3]["msg"], lines[3]["attempts"]}, []any{"target is well again", 4.0})

		// What fails later is a new time.
		r.poster.answer = func(_ context.Context, _ *handler.Event, attempt int) error {
			if attempt == 1 {
				return refused
			}
			return nil
		}
		appendKeyed(t, r, "a")
		r.idle(t)
		synctest.Wait()
		testkit.Want(t, "times of failure", []int{len(r.log.With(t, "target fails")), len(r.log.With(t, "well again"))}, []int{2, 2})
	})
}

// The journal's end ends all workers, with one error.
func TestJournalEndsSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := journal.New(journal.Config{})
		d, err := newDelivery(Config{Target: target.Target{Name: "gw", URL: "http://h", Concurrency: 4}, Journal: m},
			&fakePoster{answer: func(ctx context.Context, _ *handler.Event, _ int) error { <-ctx.Done(); return ctx.Err() }})
		if err != nil {
			t.Fatal(err)
		}
		journals.MustAppend(t, m, journals.User(1, ""), journals.User(2, ""))
		done := make(chan error, 1)
		go func() { done <- d.Run(t.Context()) }()
		synctest.Wait()
		m.Close()
		if err := <-done; err == nil || err.Error() != "target gw: journal closed" {
			t.Errorf("%v", err)
		}
	})
}
