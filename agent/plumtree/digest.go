package plumtree

import "time"

// announce tells those of the neighbours that do not have an event of it that are to know
// at once. The others hear of it within announceWait: by then most have said themselves
// that they have it, and one message serves all events of that time.
func (t *Tree) announce(now time.Duration, e *entry) { t.tell(now, e, t.early) }

// tell sends a digest of an event to the neighbours of a set that do not have it and were
// not told of it.
func (t *Tree) tell(now time.Duration, e *entry, to links) {
	if to &= t.used &^ e.have() &^ e.told; to == 0 {
		return
	}
	e.told |= to
	e.passed = now
	t.digests = append(t.digests, announcement{to, e.landing, e.id})
}

// announceWait is how long a digest waits at most that does not go at once.
const announceWait = time.Second

// announceDue tells the neighbours of all events that they have not been told of.
func (t *Tree) announceDue(now time.Duration) {
	if t.recent.nextUntold() > now {
		return
	}
	t.recent.tell(func(e *entry) {
		t.tell(now, e, t.toTell(e))
	})
}

// toTell are the neighbours that are to be told of an event. Of one that its publisher sends
// to all mostly all have it.
func (t *Tree) toTell(e *entry) links {
	if e.direct {
		return t.early
	}
	return t.used &^ t.passive
}

// sendDigests sends what was announced: one message for a neighbour, as far as the digests
// fit into one and landed at the same place.
func (t *Tree) sendDigests() {
	// Mostly one event is announced, to many: they share the message.
	if d := t.digests[0]; len(t.digests) == 1 {
		msg := list(kindDigest, d.landing, []ID{d.id})
		for d.to != 0 {
			t.send(d.to.first(), msg)
		}
		return
	}
	var ids []ID
	for s := t.used; s != 0; {
		l := s.first()
		landing := uint64(0)
		for _, d := range t.digests {
			if !d.to.has(l) {
				continue
			}
			if len(ids) > 0 && (d.landing != landing || len(ids) == maxIDs) {
				t.send(l, list(kindDigest, landing, ids))
				ids = ids[:0]
			}
			landing, ids = d.landing, append(ids, d.id)
		}
		if len(ids) > 0 {
			t.send(l, list(kindDigest, landing, ids))
			ids = ids[:0]
		}
	}
}
