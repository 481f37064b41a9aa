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
	// maxWaiting and maxWaitingBytes limit the events that wait, of all publishers.
	maxWaiting      = 4096
	maxWaitingBytes = 4 << 20
)

// waiting are the events of all publishers that wait for those before them.
type waiting struct {
	n, bytes   int
	publishers []*publisher // that have some
}

// next is when one of them has waited long enough.
func (w *waiting) next() time.Duration {
	at := forever
	for _, p := range w.publishers {
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

// deadline is when the first of the waiting events has waited long enough, of whatever
// place in the order.
func (p *publisher) deadline() time.Duration {
	at := forever
	for _, e := range p.waiting {
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
	if !p.isNext(e) || len(p.waiting) > 0 && e.compare(p.waiting[0].inc, p.waiting[0].seq) > 0 {
		t.enqueue(p, e)
		return
	}
	t.emit(e)
	n := 0
	for n < len(p.waiting) && p.isNext(p.waiting[n]) {
		t.emit(p.waiting[n])
		n++
	}
	t.dequeue(p, n)
}

// enqueue has an event wait. If too many wait, those of its publisher wait no longer.
func (t *Tree) enqueue(p *publisher, e *entry) {
	at, _ := slices.BinarySearchFunc(p.waiting, e, func(a, b *entry) int { return a.compare(b.inc, b.seq) })
	if len(p.waiting) == 0 {
		t.waiting.publishers = append(t.waiting.publishers, p)
	}
	p.waiting = slices.Insert(p.waiting, at, e)
	e.waits = true
	t.waiting.n++
	t.waiting.bytes += len(e.payload)
	if t.waiting.n > maxWaiting || t.waiting.bytes > maxWaitingBytes {
		t.stats.Overflows++
		t.release(p, len(p.waiting))
	}
}

// dequeue takes the first n events off those that wait, which were delivered.
func (t *Tree) dequeue(p *publisher, n int) {
	if n == 0 {
		return
	}
	t.waiting.n -= n
	p.waiting = slices.Delete(p.waiting, 0, n)
	if len(p.waiting) == 0 {
		p.waiting = nil
		t.waiting.publishers = slices.DeleteFunc(t.waiting.publishers, func(q *publisher) bool { return q == p })
	}
}

// release delivers the first n events that wait, and those that follow them.
func (t *Tree) release(p *publisher, n int) {
	for i := 0; i < len(p.waiting) && (i < n || p.isNext(p.waiting[i])); i++ {
		t.emit(p.waiting[i])
		n = max(n, i+1)
	}
	t.dequeue(p, n)
}

// releaseDue delivers the events that have waited long enough, and before each those
// that precede it.
func (t *Tree) releaseDue(now time.Duration) {
	for _, p := range slices.Clone(t.waiting.publishers) {
		n := 0
		for i, e := range p.waiting {
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
	held := !late && t.holdBack(e)
	t.out.Events = append(t.out.Events, Event{
		Publisher: p.name, Incarnation: e.inc, Seq: e.seq, Payload: e.payload, ID: e.id, Late: late, Held: held,
	})
	if e.waits {
		t.waiting.bytes -= len(e.payload)
	}
	e.payload, e.waits = nil, false
}
