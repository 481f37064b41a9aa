package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// At rest a heap grows by some megabytes, whatever its size. In a burst it soon grows to
// twice its size.
func TestHeapGrowth(t *testing.T) {
	const few, many = 3 << 20, 40 << 20
	g, now := heapGrowth{}, time.Now()
	for i, c := range []struct {
		pause time.Duration
		live  uint64
		want  int
	}{
		{time.Minute, 0, burstPercent}, // there was none yet
		{time.Minute, few, burstPercent},
		{time.Minute, many, 10},
		{time.Minute, 10 * many, 10}, // the least
		{burstPace + 1, 16 << 20, 25},
		{time.Second, many, 10}, // a full sync
		{time.Second, many, 10},
		{time.Second, many, 10},
		{time.Second, many, 10},
		{time.Minute, many, 10},
		{burstPace, many, 10}, // a burst
		{0, many, 10},
		{0, many, 10},
		{0, many, 10},
		{0, many, 20},
		{0, many, 40},
		{time.Second, many, 80},
		{time.Millisecond, many, burstPercent},
		{time.Millisecond, many, burstPercent},
		{burstPace + 1, many, 10}, // it is over
	} {
		now = now.Add(c.pause)
		if got := g.next(now, c.live); got != c.want {
			t.Errorf("case %d: %v after the last collection, with %d bytes in use, the heap may grow by %d %%, want %d", i, c.pause, c.live, got, c.want)
		}
	}
	for range 100 {
		g.next(now, many)
	}
	if got := g.next(now, many); got != burstPercent {
		t.Errorf("in a long burst the heap may grow by %d %%", got)
	}
}

// Each collection sets by how much the heap grows.
func TestHeapGrowthIsSet(t *testing.T) {
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	set := func() uint64 {
		metrics.Read(percent)
		return percent[0].Value.Uint64()
	}
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	garbage = make([]byte, 64<<20)
	defer func() { garbage = nil }()
	newHeapGrowth().await(t.Context())
	for range 2 { // it goes on after the first one
		debug.SetGCPercent(77)
		for set() == 77 {
			runtime.GC()
			runtime.Gosched()
		}
		if got := set(); got >= burstPercent {
			t.Errorf("with 64 MiB in use the heap may grow by %d %%", got)
		}
	}
	t.Setenv("GOGC", "50")
	if newHeapGrowth() != nil {
		t.Error("the user's GOGC does not hold")
	}
}
