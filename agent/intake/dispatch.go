package intake

import (
	"fmt"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/large"
	"agentctl/agent/script"
	"agentctl/handler"
)

// dispatch passes events on in batches of whatever has gathered.
func (in *Intake) dispatch(stop <-chan struct{}) error {
	var (
		queued = newArrivals()
		b      = batch{ids: map[string]int{}}
		held   coalescer
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for stopping := false; ; {
		lost := in.take(&queued, stopping)
		for queued.Len() > 0 {
			a, _ := queued.Pop()
			in.sort(&b, a)
		}
		if len(b.events) > 0 {
			if err := in.journal.Append(b.events...); err != nil {
				return fmt.Errorf("journal: %w", err)
			}
		}
		if err := lost.tell(in.journal); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		if in.taken != nil {
			for _, e := range b.events {
				in.taken(e)
			}
		}
		for _, c := range b.settled {
			close(c)
		}
		for _, a := range b.passed {
			if !held.add(a.event, a.at) {
				in.emit(a.event)
			}
		}
		b.empty()
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

// batch is what has gathered in the queue, by where it goes.
type batch struct {
	events  []handler.Event // to the journal
	ids     map[string]int  // of user events among them, to their index
	passed  []arrival       // to runners and subscribers
	settled []chan struct{} // to be closed once events are appended
}

// sort adds what has come to a batch.
func (in *Intake) sort(b *batch, a arrival) {
	if a.settled != nil {
		b.settled = append(b.settled, a.settled)
		return
	}
	u, isUser := a.event.(serf.UserEvent)
	switch {
	case isUser && u.Name == large.EventName:
		in.sortReference(b, a, u)
	case isUser && !a.passed:
		e := handler.NewUser(uint64(u.LTime), u.Name, u.Payload, a.at)
		if in.copied(b, e.ID, a.way) {
			return
		}
		b.ids[e.ID] = len(b.events)
		b.events = append(b.events, e)
		in.metrics.received(a.event.EventType().String(), a.way)
		if coalesce, awaited := in.awaited.take(e.ID); awaited {
			u.Coalesce = coalesce
			b.passed = append(b.passed, arrival{event: u, at: a.at})
		}
	default:
		if e, ok := in.convert(a); ok {
			b.events = append(b.events, e)
		}
		if !isUser {
			in.metrics.received(a.event.EventType().String(), a.way)
		}
		b.passed = append(b.passed, a)
	}
}

// empty makes b ready for the next batch, with the same buffers where they are not
// large.
func (b *batch) empty() {
	b.events, b.passed, b.settled = emptied(b.events), emptied(b.passed), emptied(b.settled)
	if len(b.ids) > keptCapacity {
		b.ids = map[string]int{} // an emptied one would be as large
	}
	clear(b.ids)
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
