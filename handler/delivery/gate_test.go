package delivery

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit/journals"
)

// A flush waits for the attempts under way, and all attempts for the flush; an
// event that fails for ever holds up no flush.
func TestFlushIsABarrier(t *testing.T) {
	for _, n := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			attempting, flushing := 0, 0
			r := start(t, Config{Target: flushed(n)}, journal.Config{}, func(ctx context.Context, e *handler.Event, attempt int) error {
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
				journals.MustAppend(t, r.journal, journals.User(i, ""))
			}
			for range 10 {
				time.Sleep(time.Minute / 2)
				journals.MustGap(t, r.journal, 1, "lost")
			}
			time.Sleep(time.Minute)
			if s := r.Status(); s.Flushes != 10 || s.State != StateRetrying || s.Retried == 0 || s.Waiting == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
