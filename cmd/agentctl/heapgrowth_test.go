package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// At rest a heap grows by some megabytes, whatever its size, and in a burst to twice its
// size. The collections of a full sync are no burst.
func TestHeapGrowth(t *testing.T) {
	const few, many = 3 << 20, 40 << 20
	g, now := heapGrowth{}, time.Now()
	collect := func(pause time.Duration, live uint64) int {
		now = now.Add(pause)
		return g.next(now, live)
	}
	for _, c := range []struct {
		pause time.Duration
		times int // that it comes so
		live  uint64
		want  int
	}{
		{time.Minute, 1, few, burstPercent}, // Go lets no heap stay below 4 MiB
		{time.Minute, 1, many, 10},
		{time.Minute, 1, 16 << 20, 25},
		{time.Second, burstRun - 1, many, 10}, // a full sync
		{burstPace + 1, 20, many, 10},
		{time.Millisecond, burstRun - 1, many, 10},
		{time.Millisecond, 20, many, burstPercent},
		{burstPace, 1, many, burstPercent},
		{burstPace + 1, 1, many, 10}, // it is over
		{0, 1, 0, 10},
	} {
		for range c.times {
			if got := collect(c.pause, c.live); got != c.want && c.live > 0 {
				t.Fatalf("%v after the last collection, with %d bytes in use, the heap may grow by %d %%, want %d", c.pause, c.live, got, c.want)
			}
		}
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
