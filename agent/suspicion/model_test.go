package suspicion

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// missing is what the model knows of each time that no event had.
type missing struct {
	shown time.Time
	syncs int
	ripe  bool
}

// TestEachHoleIsToldOrFilled passes events and full syncs at random, and keeps each time
// that was missed by itself. A sync counts for a hole if the member knows of times beyond it. A flush needs a time that still has no event after two full
// syncs, and none is a flush of its own within a minute. And where full syncs go on, no
// missing time is left that was neither seen nor flushed for.
func TestEachHoleIsToldOrFilled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(0, 0)
		r := newRig(rapid.SampledFrom([]uint64{0, 1000}).Draw(rt, "last"))
		r.now = func() time.Time { return now }
		top, began := r.top, r.began
		model := map[uint64]*missing{}
		var last time.Time // flush
		see := func(ltime uint64) {
			if began && ltime > top && ltime-top-1 <= absurd {
				for m := top + 1; m < ltime; m++ {
					model[m] = &missing{shown: now}
				}
			}
			top = max(top, ltime)
			delete(model, ltime)
			r.saw(ltime)
		}
		lastOf := func(ltime uint64) uint64 { // of the hole that has it
			for model[ltime+1] != nil {
				ltime++
			}
			return ltime
		}
		sync := func(clock uint64) {
			ripe := 0
			for ltime, m := range model {
				if lastOf(ltime) < clock {
					m.syncs++
					m.ripe = m.ripe || m.syncs >= unfilled && now.Sub(m.shown) >= settle
				}
				if m.ripe {
					ripe++
				}
			}
			if !began {
				began, top = true, max(top, clock-1)
			}
			before := r.flushes
			r.Synced(clock)
			switch r.flushes - before {
			case 0:
				return
			case 1:
			default:
				rt.Fatalf("one full sync led to %d flushes", r.flushes-before)
			}
			if ripe == 0 {
				rt.Fatalf("a flush, though no time is suspected; missing are %d", len(model))
			}
			if !last.IsZero() && now.Sub(last) < gathered {
				rt.Fatalf("two flushes within %v", now.Sub(last))
			}
			last = now
			for ltime, m := range model {
				if m.ripe {
					delete(model, ltime)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"next":   func(*rapid.T) { see(top + 1) },
			"jump":   func(rt *rapid.T) { see(top + rapid.Uint64Range(2, 60).Draw(rt, "by")) },
			"late":   func(rt *rapid.T) { see(max(1, top-min(top, rapid.Uint64Range(0, 60).Draw(rt, "by")))) },
			"forged": func(rt *rapid.T) { see(top + rapid.SampledFrom([]uint64{absurd + 2, 1 << 40}).Draw(rt, "by")) },
			"time": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
			},
			"sync":   func(*rapid.T) { sync(top + 1) },
			"behind": func(rt *rapid.T) { sync(1 + top - min(top, rapid.Uint64Range(0, 60).Draw(rt, "by"))) },
			"": func(*rapid.T) {
				if len(r.holes) > mostHoles || len(r.holes) > len(model) {
					rt.Fatalf("%d holes are remembered, and %d times are missing", len(r.holes), len(model))
				}
			},
		})
		for range 10 {
			now = now.Add(30 * time.Second)
			sync(top + 1)
		}
		if len(model) > 0 || len(r.holes) > 0 {
			rt.Fatalf("of %d missing times nobody was told; holes are %v", len(model), r.holes)
		}
	})
}
