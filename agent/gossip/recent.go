package gossip

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"sync"

	"github.com/hashicorp/go-metrics"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/tally"
)

// recent is what serf remembers of user events: those of the last Lamport times, to know
// copies by and to tell in full syncs. The fields are serf's own and private, as those of
// clockOf.
type recent struct {
	clock  *serf.LamportClock
	lock   *sync.RWMutex
	min    *serf.LamportTime // serf takes nothing from before
	buffer *[]*recentEvents  // by Lamport time, modulo its length
	counts *tally.Tally      // of serf's own figures, by name
}

// recentEvents are the events of one Lamport time, in a full sync as well. They and
// recentEvent are laid out as serf's types.
type recentEvents struct {
	LTime  serf.LamportTime
	Events []recentEvent
}

type recentEvent struct {
	Name    string
	Payload []byte
}

// recentOf finds a node's recent events. They are there once Create has returned.
func recentOf(s *serf.Serf, labels []metrics.Label) (*recent, error) {
	v := reflect.ValueOf(s).Elem()
	lock, least, buffer := v.FieldByName("eventLock"), v.FieldByName("eventMinTime"), v.FieldByName("eventBuffer")
	clock, err := clockOf(s, "eventClock")
	switch {
	case err != nil:
		return nil, err
	case !lock.IsValid() || lock.Type() != reflect.TypeFor[sync.RWMutex](),
		!least.IsValid() || least.Type() != reflect.TypeFor[serf.LamportTime](),
		!buffer.IsValid() || !sameLayout(buffer.Type(), reflect.TypeFor[[]*recentEvents]()):
		return nil, errors.New("gossip: this version of serf remembers events in another way")
	}
	return &recent{
		clock:  clock,
		lock:   (*sync.RWMutex)(lock.Addr().UnsafePointer()),
		min:    (*serf.LamportTime)(least.Addr().UnsafePointer()),
		buffer: (*[]*recentEvents)(buffer.Addr().UnsafePointer()),
		counts: tally.New(func(name string, n float32) {
			metrics.IncrCounterWithLabels([]string{"serf", "events"}, n, labels)
			metrics.IncrCounterWithLabels([]string{"serf", "events", name}, n, labels)
		}),
	}, nil
}

// sameLayout tells whether two types differ in the names of types at most.
func sameLayout(a, b reflect.Type) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice:
		return sameLayout(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range min(a.NumField(), b.NumField()) {
			x, y := a.Field(i), b.Field(i)
			if x.Name != y.Name || !sameLayout(x.Type, y.Type) {
				return false
			}
		}
		return a.NumField() == b.NumField()
	}
	return a == b
}

// take does what handleUserEvent does but for telling serf's event channel, and knows
// nothing of an event that is too old: that is for serf to refuse.
func (r *recent) take(m *Message) (fresh, old bool) {
	r.clock.Witness(m.LTime)
	r.lock.Lock()
	defer r.lock.Unlock()
	size, now := serf.LamportTime(len(*r.buffer)), r.clock.Time()
	if m.LTime < *r.min || now > size && m.LTime < now-size {
		return false, true
	}
	of := &(*r.buffer)[m.LTime%size]
	if *of == nil || (*of).LTime != m.LTime {
		*of = &recentEvents{LTime: m.LTime}
		if before := (*r.buffer)[(m.LTime-1)%size]; before != nil && before.LTime == m.LTime-1 {
			before.pack()
		}
	}
	for i := range (*of).Events {
		if e := &(*of).Events[i]; e.Name == m.Name && bytes.Equal(e.Payload, m.Payload) {
			return false, false
		}
	}
	(*of).Events = append((*of).Events, recentEvent{m.Name, m.Payload})
	r.counts.Count(m.Name)
	return true, false
}

// pack puts the payloads of a batch's events into one piece of memory. As they came, each
// is in the message that brought it, and a batch has up to 50 for each Lamport time. Serf
// keeps 512 times of them for hours, and each message a page of what the burst needed.
func (of *recentEvents) pack() {
	if len(of.Events) < 2 {
		return
	}
	size := 0
	for i := range of.Events {
		size += len(of.Events[i].Payload)
	}
	all, events := make([]byte, 0, size), make([]recentEvent, len(of.Events))
	for i, e := range of.Events {
		if n := len(all); len(e.Payload) > 0 {
			all = append(all, e.Payload...)
			e.Payload = all[n:len(all):len(all)]
		}
		events[i] = e
	}
	of.Events = events
}

// unknown are the events of a full sync that serf does not have. Serf would decode the others
// once more, only to drop them: after a batch each sync brings up to 25,600 of them.
func (r *recent) unknown(all []*recentEvents) (rest []*recentEvents, fewer bool) {
	for _, of := range all {
		if of == nil {
			continue
		}
		if left := r.lacking(of); len(left) > 0 {
			rest = append(rest, &recentEvents{of.LTime, left})
			fewer = fewer || len(left) < len(of.Events)
		} else {
			fewer = fewer || len(of.Events) > 0
		}
	}
	return rest, fewer
}

// lacking are those of the events of a Lamport time that serf does not have.
func (r *recent) lacking(of *recentEvents) (left []recentEvent) {
	r.lock.RLock()
	defer r.lock.RUnlock()
	here := (*r.buffer)[of.LTime%serf.LamportTime(len(*r.buffer))]
	if here == nil || here.LTime != of.LTime {
		return of.Events
	}
	for i, e := range of.Events {
		same := func(h recentEvent) bool { return h.Name == e.Name && bytes.Equal(h.Payload, e.Payload) }
		// Mostly both have them in the same order.
		if i < len(here.Events) && same(here.Events[i]) || slices.ContainsFunc(here.Events, same) {
			continue
		}
		left = append(left, e)
	}
	return left
}
