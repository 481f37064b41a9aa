package plumtree

import (
	"cmp"
	"slices"
	"time"
)

const (
	// OrderWait is how long an event waits at most for those before it.
	OrderWait = time.Second
	// firstWait is how long the first event of a publisher's incarnation waits. Nobody
	// can tell then whether earlier ones are on their way, or were before this node's
	// time.
	firstWait = 20 * time.Millisecond
	// maxHeld and maxHeldBytes limit the events that wait, of all publishers.
	maxHeld      = 4096
	maxHeldBytes = 4 << 20
)

// held are the events of all publishers that wait for those before them.
type held struct {
	n, bytes   int
	publishers []*publisher // that have some
}

// next is when one of them has waited long enough.
func (h *held) next() time.Duration {
	at := forever
	for _, p := range h.publishers {
		at = min(at, p.deadline())
	}
	return at
}

// compare orders the events of a publisher.
func (e *entry) compare(inc, seq uint64) int {
	return cmp.Or(cmp.Compare(e.inc, inc), cmp.Compare(e.seq, seq))
}

// wait is how long an event waits at most.
func (p *publisher) wait(e *entry) time.Duration {
	if !p.begun || e.inc > p.inc {
		return firstWait
	}
	return OrderWait
}

// deadline is when the first of the held events has waited long enough, of whatever
// place in the order.
func (p *publisher) deadline() time.Duration {
	at := forever
	for _, e := range p.held {
		at = min(at, e.arrived+p.wait(e))
	}
	return at
}

// isNext tells whether an event is delivered now: it follows the last one, is late, or
// is the first of its incarnation.
func (p *publisher) isNext(e *entry) bool {
	switch {
	case p.begun && e.compare(p.inc, p.seq) <= 0:
		return true
	case p.begun && e.inc == p.inc:
		return e.seq == p.seq+1
	default:
		return e.seq == 1
	}
}

// deliver delivers an event if it is its turn, and those that waited for it. Otherwise
// the event waits.
func (t *Tree) deliver(e *entry) {
	p := e.publisher
	if !p.isNext(e) || len(p.held) > 0 && e.compare(p.held[0].inc, p.held[0].seq) > 0 {
		t.hold(p, e)
		return
	}
	t.emit(e)
	n := 0
	for n < len(p.held) && p.isNext(p.held[n]) {
		t.emit(p.held[n])
		n++
	}
	t.unhold(p, n)
}

// hold has an event wait. If too many wait, those of its publisher wait no longer.
func (t *Tree) hold(p *publisher, e *entry) {
	at, _ := slices.BinarySearchFunc(p.held, e, func(a, b *entry) int { return a.compare(b.inc, b.seq) })
	if len(p.held) == 0 {
		t.held.publishers = append(t.held.publishers, p)
	}
	p.held = slices.Insert(p.held, at, e)
	e.held = true
	t.held.n++
	t.held.bytes += len(e.payload)
	if t.held.n > maxHeld || t.held.bytes > maxHeldBytes {
		t.stats.Overflows++
		t.release(p, len(p.held))
	}
}

// unhold takes the first n events off those that wait, which were delivered.
func (t *Tree) unhold(p *publisher, n int) {
	if n == 0 {
		return
	}
	t.held.n -= n
	p.held = slices.Delete(p.held, 0, n)
	if len(p.held) == 0 {
		p.held = nil
		t.held.publishers = slices.DeleteFunc(t.held.publishers, func(q *publisher) bool { return q == p })
	}
}

// release delivers the first n events that wait, and those that follow them.
func (t *Tree) release(p *publisher, n int) {
	for i := 0; i < len(p.held) && (i < n || p.isNext(p.held[i])); i++ {
		t.emit(p.held[i])
		n = max(n, i+1)
	}
	t.unhold(p, n)
}

// releaseDue delivers the events that have waited long enough, and before each those
// that precede it.
func (t *Tree) releaseDue(now time.Duration) {
	for _, p := range slices.Clone(t.held.publishers) {
		n := 0
		for i, e := range p.held {
			if e.arrived+p.wait(e) <= now {
				n = i + 1
			}
		}
		if n > 0 {
			t.release(p, n)
		}
	}
}

// emit delivers an event.
func (t *Tree) emit(e *entry) {
	p := e.publisher
	late := p.begun && e.compare(p.inc, p.seq) <= 0
	if late {
		t.stats.Late++
	} else {
		p.inc, p.seq, p.begun = e.inc, e.seq, true
	}
	t.out.Events = append(t.out.Events, Event{Publisher: p.name, Incarnation: e.inc, Seq: e.seq, Payload: e.payload, Late: late})
	if e.held {
		t.held.bytes -= len(e.payload)
	}
	e.payload, e.held = nil, false
}
