//go:build linux

package simulation

import (
	"sync"
	"time"
)

// recorder notes when an event came to which nodes.
type recorder struct {
	mu   sync.Mutex
	had  map[int]bool
	at   []time.Time // in order
	want int
	all  chan struct{} // closed when all have it
}

func newRecorder() *recorder { return &recorder{had: map[int]bool{}} }

// begin forgets the event before.
func (r *recorder) begin(nodes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.had)
	r.at, r.want, r.all = nil, nodes, make(chan struct{})
}

func (r *recorder) note(node int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.had[node] {
		return
	}
	r.had[node] = true
	if r.at = append(r.at, time.Now()); len(r.at) == r.want {
		close(r.all)
	}
}

// await waits until all have the event, at most for limit, and tells when each
// got it.
func (r *recorder) await(limit time.Duration) []time.Time {
	select {
	case <-r.all:
	case <-time.After(limit):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}
