package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the range of the waits. Max is the limit where it is below Min.
type Backoff struct{ Min, Max time.Duration }

// Ceiling is the longest wait after the given attempt, counted from 1.
func (b Backoff) Ceiling(attempt int) time.Duration {
	c := b.Min
	for range attempt - 1 {
		switch {
		case c <= 0:
			return 0
		case c > b.Max/2:
			return b.Max
		}
		c *= 2
	}
	return min(c, b.Max)
}

// Wait draws a wait after the given attempt, from 0 to the ceiling.
func (b Backoff) Wait(attempt int) time.Duration {
	return Between(0, b.Ceiling(attempt))
}

// Between draws a time from low to high, both included. It returns low where
// high is not above it.
func Between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low+1)
}

// Sleep waits, and returns ctx's error if ctx ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
