package intake

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/large"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/queue"
)

// dispatcher is the state of dispatch. Whoever passes events on holds its lock, so that one
// does at a time.
type dispatcher struct {
	sync.Mutex
	open   bool // dispatch runs, and has not come to its end
	failed error
	queued queue.Queue[arrival] // empty between two rounds
	batch  batch
	held   coalescer
}

// dispatch passes events on in batches of whatever has gathered, until stop.
func (in *Intake) dispatch(stop <-chan struct{}) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for stopping := false; ; {
		in.work.Lock()
		in.work.open = true
		due, err := in.round(stopping)
		in.work.open = err == nil && !stopping
		in.work.Unlock()
		if err != nil || stopping {
			return err
		}
		if !due.IsZero() {
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

// dispatchHere passes events on in the goroutine that has brought them: to wake another one
// costs more than the work. If one is at work it only makes sure that there is another
// round, and never waits.
func (in *Intake) dispatchHere() {
	done := false
	if in.work.TryLock() {
		if in.work.open {
			due, err := in.round(false)
			done = err == nil && due.IsZero() // dispatch sees to the rest
		}
		in.work.Unlock()
	}
	if !done {
		in.wakeDispatch()
	}
}

// round passes on what has gathered, and tells when the first of the held events has to
// go, if there are any. After a failure it does no more. in.work is held.
func (in *Intake) round(stopping bool) (due time.Time, err error) {
	if in.work.failed != nil {
		return due, in.work.failed
	}
	b, held := &in.work.batch, &in.work.held
	lost := in.take(&in.work.queued, stopping)
	for in.work.queued.Len() > 0 {
		a, _ := in.work.queued.Pop()
		in.sort(b, a)
	}
	if len(b.events) > 0 {
		err = in.journal.Append(b.events...)
	}
	if err == nil {
		err = lost.tell(in.journal)
	}
	if err != nil {
		in.work.failed = fmt.Errorf("journal: %w", err)
		return due, in.work.failed
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
	if !waiting {
		due = time.Time{}
	}
	return due, nil
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
		if in.copied(b, a.id, a.way) {
			return
		}
		e := handler.Event{ID: a.id, Type: handler.User, Name: u.Name, LTime: uint64(u.LTime), Payload: u.Payload, Time: a.at}
		b.ids[e.ID] = len(b.events)
		b.events = append(b.events, e)
		in.metrics.receivedUser(a.way)
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
	for _, s := range in.subs {
		s.tell(e)
	}
	in.subsMu.Unlock()
	in.runnersMu.Lock()
	defer in.runnersMu.Unlock()
	for _, r := range in.runners {
		r.Offer(t)
	}
}
