package intake

import (
	"fmt"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/script"
	"agentctl/handler"
)

// dispatch passes events on in batches of whatever has gathered.
func (in *Intake) dispatch(stop <-chan struct{}) error {
	var (
		batch  = newArrivals()
		taken  []arrival // of the batch, to be handed on
		events []handler.Event
		held   coalescer
		seen   = map[string]bool{} // IDs in a batch

		settled []chan struct{} // to be closed once it is appended
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for stopping := false; ; {
		gap := in.take(&batch, stopping)
		for batch.Len() > 0 {
			a, _ := batch.Pop()
			if a.settled != nil {
				settled = append(settled, a.settled)
				continue
			}
			if in.refers(a, seen) {
				continue
			}
			e, ok := in.convert(a)
			if !ok { // not for the journal
				taken = append(taken, a)
				continue
			}
			if in.copied(e.ID, seen, a.way) {
				continue
			}
			seen[e.ID] = true
			events = append(events, e)
			taken = append(taken, a)
		}
		if len(events) > 0 {
			if err := in.journal.Append(events...); err != nil {
				return fmt.Errorf("journal: %w", err)
			}
		}
		if gap > 0 {
			if err := in.journal.Gap(gap, "the journal did not take events in time"); err != nil {
				return fmt.Errorf("journal: %w", err)
			}
		}
		for _, c := range settled {
			close(c)
		}
		for _, a := range taken {
			in.metrics.received(a.event.EventType().String(), a.way)
			if !held.add(a.event, a.at) {
				in.emit(a.event)
			}
		}
		events, taken, settled = emptied(events), emptied(taken), emptied(settled)
		if len(seen) > keptCapacity {
			seen = map[string]bool{} // an emptied one would be as large
		}
		clear(seen)
		due, waiting := held.due()
		if waiting && (stopping || !time.Now().Before(due)) {
			for _, e := range held.flush() {
				in.emit(e)
			}
			waiting = false
		}
		if stopping {
			return nil
		}
		if waiting {
			timer.Reset(time.Until(due))
		}
		select {
		case <-in.wake:
		case <-timer.C:
		case <-stop:
			stopping = true // once more round, for what is left
		}
	}
}

// emptied is a buffer for the next batch that holds nothing of the last one: the
// same buffer, but for a large one.
func emptied[T any](buf []T) []T {
	if cap(buf) > keptCapacity {
		return nil
	}
	clear(buf)
	return buf[:0]
}

// emit hands e to the subscribers and the runners. A query's deadline is read
// first: serf changes it, unguarded, when someone responds.
func (in *Intake) emit(e serf.Event) {
	t := script.Task{Event: e}
	if q, ok := e.(*serf.Query); ok {
		if in.queries != nil && in.queries(q) {
			return
		}
		t.Deadline = q.Deadline()
	}
	in.subsMu.Lock()
	for _, fn := range in.subs {
		fn(e)
	}
	in.subsMu.Unlock()
	in.runnersMu.Lock()
	defer in.runnersMu.Unlock()
	for _, r := range in.runners {
		r.Offer(t)
	}
}
