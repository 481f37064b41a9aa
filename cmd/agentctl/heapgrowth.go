package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// burstPace is the longest time between two collections of a burst.
	burstPace = 2 * time.Second
	// syncRun is how many collections may come soon after the one before at rest: a full
	// sync with a member brings some.
	syncRun = 4
	// restGrowth is by how many bytes the heap grows at rest before it is collected.
	restGrowth = 4 << 20
	// restPercent is the least by which it grows.
	restPercent = 10
	// burstPercent is by how much the heap grows in a burst, as in any program in Go.
	burstPercent = 100
)

// heapGrowth lets the heap of a process at rest grow by some megabytes before Go collects
// it, and not to twice its size. With a full history most of what is in use stays in use,
// and twice that would be resident only to collect each minute, say, and not every few
// seconds.
//
// Each collection tells whether the process is at rest: in a burst they come soon after
// each other. Once they are more than a full sync brings, each doubles the growth, up to
// Go's own. So a burst pays for some collections more as it begins.
type heapGrowth struct {
	collected time.Time // when the last collection was
	run       int       // how many came soon after the one before
	sample    []metrics.Sample
}

// newHeapGrowth returns nil if the user has set GOGC, which then holds.
func newHeapGrowth() *heapGrowth {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return &heapGrowth{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
}

// await sees to it that each collection sets the growth until the next, until ctx ends.
func (g *heapGrowth) await(ctx context.Context) {
	garbage := &struct{ _ *int }{} // a pointer keeps it off the memory that tiny objects share
	runtime.AddCleanup(garbage, func(g *heapGrowth) {
		if ctx.Err() != nil {
			return
		}
		metrics.Read(g.sample)
		debug.SetGCPercent(g.next(time.Now(), g.sample[0].Value.Uint64()))
		g.await(ctx)
	}, g)
}

// next tells by how many percent the heap may grow from now on, when a collection is over.
func (g *heapGrowth) next(now time.Time, live uint64) int {
	if g.run++; now.Sub(g.collected) > burstPace {
		g.run = 0
	}
	g.collected = now
	growth := uint64(restGrowth) << min(max(g.run-syncRun, 0), 20)
	return int(min(burstPercent, max(restPercent, growth*100/max(live, 1))))
}
