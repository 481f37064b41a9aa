package tally

import (
	"sync"
	"time"
)

// Period is how long counts are gathered at most.
const Period = 100 * time.Millisecond

// maxNames is how many names are gathered at most: anybody may make names up.
const maxNames = 256

// Tally gathers counts by name. Make one with New.
type Tally struct {
	tell func(name string, n float32)

	mu      sync.Mutex
	told    time.Time // when something was last told
	waiting bool      // flush is to come
	counts  map[string]float32
}

// New makes a Tally that passes counts on to tell, one call at a time.
func New(tell func(name string, n float32)) *Tally {
	return &Tally{tell: tell, counts: map[string]float32{}}
}

// Count counts 1 for a name.
func (t *Tally) Count(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.waiting {
		now := time.Now()
		if now.Sub(t.told) >= Period {
			t.told = now
			t.tell(name, 1)
			return
		}
		t.waiting = true
		time.AfterFunc(Period, t.flush)
	}
	t.counts[name]++
	if len(t.counts) >= maxNames {
		t.tellAll()
	}
}

func (t *Tally) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting, t.told = false, time.Now()
	t.tellAll()
}

func (t *Tally) tellAll() {
	for name, n := range t.counts {
		t.tell(name, n)
	}
	clear(t.counts)
}
