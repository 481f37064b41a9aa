package plumtree

import "time"

// lateness is by how much an event may come later over the tree than the first digest of
// it, before it is pulled: this, and a round trip of the link that the digest came by.
const lateness = 2 * time.Millisecond

// event takes an event that came from a neighbour.
func (t *Tree) event(now time.Duration, from Link, b []byte) {
	m := &t.in
	id := m.id()
	if e := t.recent.get(id); e != nil {
		t.duplicate(now, e, from, m.landing)
		t.tellWaits(e)
		return
	}
	t.stats.Received++
	e := &entry{
		id: id, inc: m.inc, seq: m.seq, payload: m.payload, size: len(m.payload), msg: b, landing: m.landing,
		said: from.bit(), from: from, arrived: now, passed: now, began: now - time.Duration(m.age)*ageUnit,
	}
	p := t.publisher(now, m.name)
	e.publisher = p
	// Only the publisher itself can say that it sends to all.
	e.direct = m.direct && t.neighbours[from].Name == p.name
	w := t.wanted.take(t, id)
	if w != nil {
		e.said |= w.sources
		e.asked = w.asked
		t.answered(e, from)
	}
	if pulled := w != nil && w.asked.has(from); pulled || p.parent == noLink {
		p.parent = from
		if pulled {
			p.pruned &^= from.bit()
			if t.far.has(from) {
				t.send(from, list(kindGraft, 0, []ID{id}))
			}
		}
	} else if n := &t.neighbours[from]; p.parent == from && n.unanswered > 0 {
		n.unanswered-- // it was grafted, and does what was asked of it
	}
	if w != nil {
		t.cross(now, e, w)
	}
	if t.far.has(from) {
		e.landing = t.landing
		if p.pruned.has(from) {
			e.landing = stray
		}
	}
	if m.direct || m.age > 0 || e.landing != m.landing {
		e.msg = append(eventHead(make([]byte, 0, len(b)+2), false, 0, e.landing), m.body...)
	}
	t.recent.add(t, e, now)
	if !e.direct {
		t.pass(now, e, p.eager)
		t.announce(now, e)
	}
	if w != nil && w.near != noLink {
		t.nearer(now, e, w.near, w.landing)
	}
	t.deliver(e)
	t.tellWaits(e)
}

// tellWaits tells the caller of an event that came and is not delivered yet.
func (t *Tree) tellWaits(e *entry) {
	if e.waits {
		t.out.Waits = append(t.out.Waits, e.id)
	}
}

// cross grafts a neighbour in another region whose digest was much earlier than the event: its
// way is the shorter one. In each shortcutWait one node in farShare may do so, and once: else
// all of them would, for the events of a burst that a loss holds up.
func (t *Tree) cross(now time.Duration, e *entry, w *want) {
	p := e.publisher
	if !t.far.has(w.first) || w.first == e.from || now-w.since < shortcutLead || now-p.shortcut < shortcutWait {
		return
	}
	if place(uint64(now/shortcutWait), t.landing^key(p.name))%farShare != 0 {
		return
	}
	p.shortcut = now
	p.pruned &^= w.first.bit()
	t.send(w.first, list(kindGraft, 0, []ID{e.id}))
}

// shortcutLead is by how much the digest is earlier, at least.
const shortcutLead = 10 * time.Millisecond

const shortcutWait = 10 * time.Second

// duplicate takes a copy of an event that is here, and has the tree lose the link that
// the copy came by, or the one that was first.
func (t *Tree) duplicate(now time.Duration, e *entry, from Link, landing uint64) {
	t.stats.Duplicates++
	e.said |= from.bit()
	t.answered(e, from)
	switch p := e.publisher; {
	case e.from == from:
		// A neighbour that sends an event twice has lost its memory.
	case e.own || e.from == noLink:
		t.prune(e, from)
	case e.landing == stray: // the next will not be first by this way
	case t.nearer(now, e, from, landing):
	case p.parent != from:
		t.prune(e, from)
	case now-e.arrived > lateness, t.far.has(from) && !t.far.has(e.from) && e.landing < t.landing:
		// The parent was late, or is in another region where a near neighbour will do.
		p.parent = e.from
		t.prune(e, from)
	default:
		t.prune(e, e.from)
	}
}

// answered notes that a neighbour has sent an event that it was asked for.
func (t *Tree) answered(e *entry, from Link) {
	if e.asked.has(from) {
		e.asked &^= from.bit()
		t.neighbours[from].unanswered--
	}
}

func (t *Tree) prune(e *entry, l Link) {
	e.publisher.pruned |= l.bit()
	t.send(l, list(kindPrune, 0, []ID{e.id}))
}

// nearer replaces a parent in another region by a near neighbour that has the same event.
//
// Each event that comes from far lands at this node: it gets the number of this node, and
// keeps that on its way through the region. If several copies cross, they land at several
// nodes. All of these but the one with the lowest number hear of a lower one soon, from a
// near neighbour, and take that for their parent. So one copy crosses from then on. That
// the number decides, and not the time, keeps two nodes from giving way to each other.
func (t *Tree) nearer(now time.Duration, e *entry, by Link, landing uint64) bool {
	p := e.publisher
	far := e.from
	if far == noLink || p.pruned.has(far) || !t.far.has(far) || t.far.has(by) ||
		landing >= e.landing || now-e.arrived > nearerWait || t.neighbours[by].unanswered >= letDowns {
		return false
	}
	p.parent = by
	p.pruned &^= by.bit()
	t.neighbours[by].unanswered++ // until it brings an event
	t.prune(e, far)
	t.send(by, list(kindGraft, 0, []ID{e.id}))
	return true
}

// stray is the landing of a copy that crossed by a link that was given up, while the
// neighbour did not know. Nobody gives way to it, since no other will follow.
const stray = maxLanding

// letDowns is how many requests a neighbour may leave unanswered before nobody gives way
// to it any more: it may claim a low landing, and send nothing.
const letDowns = 3

// nearerWait is how much later an event may come by a near neighbour, for one in another
// region to be given up.
const nearerWait = 10 * time.Millisecond
