package intake

import (
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/large"
)

// largeEvents is what Intake needs to see to events that are known by reference.
type largeEvents interface {
	// Want has an event fetched, and taken in by Take. It never waits.
	Want(large.Wanted)
	// Refuse is told of what is no reference.
	Refuse(err error, args ...any)
}

// sortReference sees to a reference to a large event. What is passed on is the event
// itself, once it is here: to targets in any case, to runners and subscribers if
// serf has passed the reference.
func (in *Intake) sortReference(b *batch, a arrival, u serf.UserEvent) {
	w, err := Wanted(u)
	if err != nil {
		if !a.passed { // it is told once
			in.large.Refuse(err, "ltime", u.LTime, "bytes", len(u.Payload))
		}
		return
	}
	id := w.ID()
	if !a.passed {
		if in.wanted.add(id) {
			in.metrics.copied(a.way)
		} else if !in.copied(b, id, a.way) {
			in.large.Want(w)
		}
		return
	}
	if i, ok := b.ids[id]; ok {
		b.passed = append(b.passed, arrival{event: Fetched(&w, b.events[i].Payload), at: a.at})
	} else if rec, ok := in.journal.Find(id); ok {
		b.passed = append(b.passed, arrival{event: Fetched(&w, rec.Event.Payload), at: a.at})
	} else {
		in.awaited.add(id, w.Coalesce)
	}
}

// Wanted is the event that a serf event refers to.
func Wanted(u serf.UserEvent) (large.Wanted, error) {
	ref, err := large.Decode(u.Payload)
	return large.Wanted{Reference: ref, LTime: uint64(u.LTime), Coalesce: u.Coalesce}, err
}

// Fetched is the event that was wanted.
func Fetched(w *large.Wanted, payload []byte) serf.UserEvent {
	return serf.UserEvent{LTime: serf.LamportTime(w.LTime), Name: w.Name, Payload: payload, Coalesce: w.Coalesce}
}

// rememberedReferences is how many references are remembered at least, so that each is
// seen to once: members send them again with each full sync, and serf remembers 25,600
// events at most if its 512 Lamport times have 50 each.
const rememberedReferences = 1 << 15

// remembered are IDs. Once there are many the older half is forgotten. The zero value
// is empty.
type remembered [2]map[string]struct{}

// add tells whether an ID was there.
func (r *remembered) add(id string) (known bool) {
	for _, ids := range r {
		if _, known = ids[id]; known {
			return true
		}
	}
	if r[0] == nil || len(r[0]) >= rememberedReferences {
		r[0], r[1] = map[string]struct{}{}, r[0]
	}
	r[0][id] = struct{}{}
	return false
}

// awaitedEvents is how many large events runners and subscribers wait for.
const awaitedEvents = 1024

// awaited are large events whose references serf has passed on, by ID: runners and
// subscribers get them when they come. With too many the oldest are given up. It
// belongs to dispatch, and the zero value is empty.
type awaited struct {
	coalesce map[string]bool
	order    []string // of IDs as they were added, also those taken since
}

func (w *awaited) add(id string, coalesce bool) {
	if w.coalesce == nil {
		w.coalesce = map[string]bool{}
	}
	if _, known := w.coalesce[id]; !known {
		w.order = append(w.order, id)
	}
	w.coalesce[id] = coalesce
	for len(w.order) > awaitedEvents {
		delete(w.coalesce, w.order[0])
		w.order = w.order[1:]
	}
}

// take tells whether an event was waited for, and whether it may coalesce.
func (w *awaited) take(id string) (coalesce, ok bool) {
	if coalesce, ok = w.coalesce[id]; ok {
		delete(w.coalesce, id)
	}
	return coalesce, ok
}
