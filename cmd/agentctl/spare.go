package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// spareCheck is the time between two looks at the memory that the process has to spare.
const spareCheck = 5 * time.Second

// leastSpare is the memory to spare that is left alone, in bytes, beside an eighth of
// what is in use.
const leastSpare = 4 << 20

// spareMemory gives memory back to the system after a burst. Go's collector lets a heap
// grow to twice what is in use before it collects, and an agent that came to rest after
// a burst takes hours to allocate as much again.
//
// To give it back costs a collection. So it is done only if the process has more than a
// little to spare, and would not need it within the next two looks at the rate of the
// last. It is also done at the first look at rest after a burst, whatever there seems to
// be: the last collection may have come in the middle of the burst, and nothing shows
// that what was in use then is not any more.
type spareMemory struct {
	samples   []metrics.Sample
	allocated uint64 // since the process began, at the last look
	again     int    // looks at rest until memory is given back once more; 0 for never
}

// secondLook is after how many looks memory is given back once more. What a burst brought
// is remembered for some seconds, so the first collection finds it in use.
const secondLook = 3

func newSpareMemory() *spareMemory {
	s := &spareMemory{}
	for _, name := range []string{"/gc/heap/allocs:bytes", "/gc/heap/live:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes"} {
		s.samples = append(s.samples, metrics.Sample{Name: name})
	}
	metrics.Read(s.samples)
	s.allocated = s.samples[0].Value.Uint64() // the start is no burst
	return s
}

// run looks from time to time until ctx ends.
func (s *spareMemory) run(ctx context.Context) {
	tick := time.NewTicker(spareCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.due() {
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return
		}
	}
}

// due tells whether the process has memory that it will not need soon.
func (s *spareMemory) due() bool {
	metrics.Read(s.samples)
	var v [4]uint64
	for i, sample := range s.samples {
		v[i] = sample.Value.Uint64()
	}
	allocated, live, objects, free := v[0], v[1], v[2], v[3]
	lately := allocated - s.allocated
	s.allocated = allocated
	spare, least := free+objects-min(live, objects), leastSpare+live/8
	switch {
	case spare > least && spare/2 > lately:
		s.again = secondLook
		return true
	case lately > least:
		s.again = secondLook + 1
		return false
	case s.again == 0:
		return false
	}
	s.again--
	return s.again == secondLook || s.again == 0
}
