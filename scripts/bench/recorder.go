//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// recorder notes when which event came to which member. Events have numbers
// from 0 on within a round; what comes late from an earlier round is not taken
// for one of this round. Safe for concurrent use, but for the waits: one at a
// time.
type recorder struct {
	wake chan struct{} // gets a token with each arrival

	mu      sync.Mutex
	round   int
	at      [][]time.Time // by member and event; zero: not yet
	got     []int         // events, by member
	repeats int           // arrivals beyond the first, of all members
	last    time.Time     // the last first arrival of the round; its begin where there is none
}

func newRecorder(members int) *recorder {
	return &recorder{wake: make(chan struct{}, 1), at: make([][]time.Time, members), got: make([]int, members)}
}

// begin starts a round of so many events and returns its number.
func (r *recorder) begin(events int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.round++
	for i := range r.at {
		r.at[i], r.got[i] = make([]time.Time, events), 0
	}
	r.repeats, r.last = 0, time.Now()
	return r.round
}

// payload is an event such as Kong publishes.
func payload(round, event int) []byte {
	return fmt.Appendf(nil, `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%d-%d"}}`, round, event)
}

// note takes an arrival down. What is none of the events of this round does not
// count.
func (r *recorder) note(member int, body []byte, at time.Time) {
	_, id, _ := bytes.Cut(body, []byte(`{"id":"`))
	var round, event int
	if _, err := fmt.Sscanf(string(id), "%d-%d", &round, &event); err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if round != r.round || event < 0 || event >= len(r.at[member]) {
		return
	}
	if !r.at[member][event].IsZero() {
		r.repeats++
		return
	}
	r.at[member][event] = at
	r.got[member]++
	if at.After(r.last) {
		r.last = at
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// everywhere returns when an event had come to all members, and false where it
// has not yet.
func (r *recorder) everywhere(event int) (last time.Time, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.at {
		if at[event].IsZero() {
			return time.Time{}, false
		}
		if at[event].After(last) {
			last = at[event]
		}
	}
	return last, true
}

// outcome is how a round went.
type outcome struct {
	shares  []float64 // of the published events, by member
	total   int       // events at all members together
	repeats int
	last    time.Time
}

// worst is the share at the member that has the fewest.
func (o outcome) worst() float64 { return slices.Min(o.shares) }

// outcome is how the round has gone so far, of which so many events were
// published.
func (r *recorder) outcome(published int) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := outcome{repeats: r.repeats, last: r.last}
	for _, n := range r.got {
		o.total += n
		o.shares = append(o.shares, float64(n)/float64(max(published, 1)))
	}
	return o
}

// await waits until an event is everywhere, at most for limit.
func (r *recorder) await(ctx context.Context, event int, limit time.Duration) (time.Time, bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if last, all := r.everywhere(event); all {
			return last, true
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return r.everywhere(event)
		}
	}
}

// settle waits until all of the published events are everywhere, or nothing has
// come for quiet, at most for limit.
func (r *recorder) settle(ctx context.Context, published int, quiet, limit time.Duration) outcome {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	still := time.NewTimer(quiet)
	defer still.Stop()
	for {
		if o := r.outcome(published); o.worst() >= 1 {
			return o
		}
		select {
		case <-r.wake:
			still.Reset(quiet)
		case <-still.C:
			return r.outcome(published)
		case <-ctx.Done():
			return r.outcome(published)
		}
	}
}
