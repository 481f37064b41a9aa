package handler

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a random wait between attempts whose ceiling doubles from min to
// max. The whole range below the ceiling is used ("full jitter"), so that many
// nodes that failed at once do not come back at once.
type backoff struct{ min, max time.Duration }

// ceiling is the longest wait after the given attempt, counted from 1.
func (b backoff) ceiling(attempt int) time.Duration {
	c := b.min
	for range attempt - 1 {
		if c > b.max/2 {
			return b.max
		}
		c *= 2
	}
	return min(c, b.max)
}

func (b backoff) wait(attempt int) time.Duration {
	return rand.N(b.ceiling(attempt) + 1)
}

// sleep waits, and returns ctx's error where that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// every thins out log lines of something that goes on: it lets the 1st, 2nd,
// 4th, 8th and so on pass, and otherwise one a minute.
type every struct {
	next int
	last time.Time
}

func (v *every) pass(n int, now time.Time) bool {
	if n < v.next && now.Sub(v.last) < time.Minute {
		return false
	}
	v.next, v.last = 2*n, now
	return true
}
