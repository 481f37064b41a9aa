package plumtree

import (
	"container/heap"
	"math/bits"
	"time"
)

const (
	// maxAnnounced is how many events that this node lacks a neighbour may have
	// announced. Further digests of it are dropped, until some of these events have
	// come or are given up.
	maxAnnounced = 512
	// WantedFor is for how long a node wants an event at least, after all neighbours that
	// announced it were asked.
	WantedFor = 10 * time.Second
	// farLateness is lateness for a neighbour in another region: longer, since the
	// event comes from near mostly. If it does not, one node in farShare pulls it, and
	// the others only after two round trips. Else it would cross to all of them.
	farLateness = 20 * time.Millisecond
	farShare    = 16
)

// want is an event that neighbours have and this node lacks.
type want struct {
	id      ID
	since   time.Duration
	due     time.Duration // for the next pull, or to give up
	first   Link          // of sources, the first; or noLink
	sources links         // that have announced it
	asked   links         // of sources
	near    Link          // of sources, the near one that named the lowest landing; or noLink
	landing uint64        // that it named
	index   int           // in the heap
}

// wanted are all of them, by the time when they are due.
type wanted struct {
	byID map[ID]*want
	heap wantHeap
}

func (w *wanted) init()    { w.byID = map[ID]*want{} }
func (w *wanted) len() int { return len(w.byID) }

func (w *wanted) next() time.Duration {
	if len(w.heap) == 0 {
		return forever
	}
	return w.heap[0].due
}

// take takes an event off that came or is given up, and returns nil if it is not wanted.
func (w *wanted) take(t *Tree, id ID) *want {
	q := w.byID[id]
	if q == nil {
		return nil
	}
	delete(w.byID, id)
	heap.Remove(&w.heap, q.index)
	for s := q.sources; s != 0; {
		t.neighbours[s.first()].announced--
	}
	return q
}

func (w *wanted) set(q *want, due time.Duration) {
	q.due = due
	heap.Fix(&w.heap, q.index)
}

// forget takes a neighbour out of all sets. What it was asked for is due at others.
func (w *wanted) forget(l Link, now time.Duration) {
	for _, q := range w.byID {
		if !q.sources.has(l) {
			continue
		}
		q.sources &^= l.bit()
		if q.near == l {
			q.near = noLink
		}
		if q.first == l {
			q.first = noLink
		}
		if q.asked.has(l) {
			q.asked &^= l.bit()
			q.due = now
		}
	}
	heap.Init(&w.heap)
}

// digest takes the IDs of events that a neighbour has.
func (t *Tree) digest(now time.Duration, from Link) {
	m := &t.in
	for _, id := range m.ids {
		if e := t.recent.get(id); e != nil {
			e.said |= from.bit()
			t.nearer(now, e, from, m.landing)
			continue
		}
		q := t.wanted.byID[id]
		if q != nil && q.sources.has(from) {
			continue
		}
		n := &t.neighbours[from]
		if n.announced == maxAnnounced {
			t.stats.Ignored++
			continue
		}
		n.announced++
		due := now + t.patience(id, from)
		if q == nil {
			q = &want{id: id, since: now, due: due, first: from, near: noLink}
			t.wanted.byID[id] = q
			heap.Push(&t.wanted.heap, q)
		} else if q.sources == q.asked || due < q.due && q.asked == 0 {
			t.wanted.set(q, due) // it was not to be had, or only from far
		}
		q.sources |= from.bit()
		if !t.far.has(from) && (q.near == noLink || m.landing < q.landing) {
			q.near, q.landing = from, m.landing
		}
	}
}

// patience is how long this node waits for an event that a neighbour has.
func (t *Tree) patience(id ID, by Link) time.Duration {
	rtt := t.neighbours[by].RTT
	if !t.far.has(by) {
		return lateness + rtt
	}
	if (uint64(id)^t.landing)%farShare == 0 {
		return farLateness
	}
	return farLateness + 2*rtt
}

// pullDue asks for the events that are late: one neighbour after the other, and each once
// for an event.
func (t *Tree) pullDue(now time.Duration) {
	var asked links
	var ids [MaxLinks][]ID
	for t.wanted.next() <= now {
		q := t.wanted.heap[0]
		l := t.source(q)
		if l == noLink {
			if end := q.since + WantedFor; now < end {
				t.wanted.set(q, end)
				continue
			}
			t.stats.Missed++
			t.wanted.take(t, q.id)
			continue
		}
		n := &t.neighbours[l]
		n.unanswered++
		t.stats.Pulls++
		q.asked |= l.bit()
		t.wanted.set(q, now+2*lateness+n.RTT*3/2)
		asked |= l.bit()
		if ids[l] = append(ids[l], q.id); len(ids[l]) == maxIDs {
			t.send(l, list(t.request(l), 0, ids[l]))
			ids[l] = ids[l][:0]
		}
	}
	for asked != 0 {
		if l := asked.first(); len(ids[l]) > 0 {
			t.send(l, list(t.request(l), 0, ids[l]))
		}
	}
}

// request is how this node asks a neighbour for events. One in another region it asks for
// these alone. Mostly the event has come from near before the answer does, and for all that
// time the next ones would cross as well.
func (t *Tree) request(l Link) kind {
	if t.far.has(l) {
		return kindFetch
	}
	return kindPull
}

// source is the neighbour that is asked next: a near one before a far one, and of these
// the one that has left the fewest pulls unanswered. Of equal ones the event decides: a
// neighbour that has no room for another child is not asked each time.
func (t *Tree) source(q *want) Link {
	left := q.sources &^ q.asked
	if near := left &^ t.far; near != 0 {
		left = near
	}
	best, fewest := noLink, 0
	turn := int(q.id % MaxLinks)
	left = links(bits.RotateLeft32(uint32(left), -turn))
	for left != 0 {
		l := (left.first() + Link(turn)) % MaxLinks
		if u := t.neighbours[l].unanswered; best == noLink || u < fewest {
			best, fewest = l, u
		}
	}
	return best
}

// wantHeap orders wants by the time when they are due.
type wantHeap []*want

func (h wantHeap) Len() int           { return len(h) }
func (h wantHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h wantHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *wantHeap) Push(x any) {
	q := x.(*want)
	q.index = len(*h)
	*h = append(*h, q)
}
func (h *wantHeap) Pop() any {
	old := *h
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return q
}
