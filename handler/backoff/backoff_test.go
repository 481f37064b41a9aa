package backoff

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCeilingDoublesFromMinToMax(t *testing.T) {
	b := Backoff{Min: 3 * time.Second, Max: 10 * time.Second}
	for attempt, want := range map[int]time.Duration{0: 3e9, 1: 3e9, 2: 6e9, 3: 10e9, 4: 10e9, 1 << 20: 10e9} {
		if got := b.Ceiling(attempt); got != want {
			t.Errorf("after attempt %d: %v, want %v", attempt, got, want)
		}
	}
}

func TestCeilingOfStrangeRanges(t *testing.T) {
	for _, tt := range []struct {
		b       Backoff
		attempt int
		want    time.Duration
	}{
		{Backoff{Min: 1, Max: 1 << 62}, 500, 1 << 62},
		{Backoff{Min: 1, Max: 1<<63 - 1}, 1 << 40, 1<<63 - 1},
		{Backoff{Min: 5, Max: 3}, 1, 3},
		{Backoff{Min: 5, Max: 3}, 2, 3},
		{Backoff{Max: 3}, 1 << 40, 0},
		{Backoff{}, 7, 0},
	} {
		if got := tt.b.Ceiling(tt.attempt); got != tt.want {
			t.Errorf("%v after attempt %d: %v, want %v", tt.b, tt.attempt, got, tt.want)
		}
	}
}

func TestWaitUsesTheWholeRange(t *testing.T) {
	b := Backoff{Min: 1000, Max: 8000}
	for attempt, ceiling := range map[int]time.Duration{1: 1000, 2: 2000, 4: 8000, 9: 8000} {
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 10_000 {
			w := b.Wait(attempt)
			low, high = min(low, w), max(high, w)
		}
		// 10,000 fair draws all miss a tenth with a chance below 1e-450.
		if low < 0 || low > ceiling/10 || high > ceiling || high < ceiling*9/10 {
			t.Errorf("attempt %d waits from %d to %d, want 0 to %d", attempt, low, high, ceiling)
		}
	}
}

func TestBetween(t *testing.T) {
	if d := Between(7, 7); d != 7 {
		t.Errorf("of one value %d", d)
	}
	if d := Between(7, 3); d != 7 {
		t.Errorf("of no value %d", d)
	}
	seen := map[time.Duration]int{}
	for range 10_000 {
		seen[Between(3, 5)]++
	}
	if len(seen) != 3 || seen[3] == 0 || seen[5] == 0 {
		t.Errorf("drawn from 3 to 5: %v", seen)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("slept %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if err := Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("woke after %v: %v", time.Since(start), err)
		}
	})
}
