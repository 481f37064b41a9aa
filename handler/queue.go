package handler

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// maxHoles bounds what a Disk writes of a cursor. A cursor with more holes is
// one with as many events in flight at once; past the limit a crash makes what
// was acknowledged come again.
const maxHoles = 1000

// queue is what a target waits for, whoever holds its cursor. Its pending
// events are those in extras, and those from since on that pass the filters,
// less what is below the first pending event or in a hole. That rule, and not
// each event's state, is what a Disk writes.
type queue struct {
	filters Filters

	given    []*entry      // handed out and not acknowledged, by sequence number
	waiting  deque[*entry] // not handed out, likewise
	bytes    int           // size of both
	lost     uint64
	gapSince time.Time
	buried   []*burial // in the order of burial

	since  uint64
	extras []uint64 // in order
	holes  []span   // in order, no two overlap

	dirty       bool                // any of it changed since it was gathered for the disk
	moved       bool                // extras did
	buriedDirty map[uint64]struct{} // and these burials, by sequence number
}

// span is a range of sequence numbers, both ends included.
type span struct{ from, to uint64 }

// burial is a buried event.
type burial struct {
	entry *entry
	why   BuriedInfo
}

// lose counts events that this cursor will never hand out.
func (c *memoryCursor) lose(n uint64) {
	if n == 0 {
		return
	}
	if c.lost == 0 {
		c.gapSince = time.Now()
	}
	c.lost += n
	c.dirty = true
	signal(c.losses)
}

// pending is what is handed out or waits, in order.
func (q *queue) pending() []*entry {
	all := make([]*entry, 0, len(q.given)+q.waiting.len())
	all = append(all, q.given...)
	for i := range q.waiting.len() {
		all = append(all, q.waiting.at(i))
	}
	return sortEntries(all)
}

// sortEntries puts entries in order, each once.
func sortEntries(all []*entry) []*entry {
	bySeq := func(a, b *entry) int { return cmp.Compare(a.Seq, b.Seq) }
	if !slices.IsSortedFunc(all, bySeq) {
		slices.SortFunc(all, bySeq)
	}
	return slices.Compact(all)
}

func (q *queue) setWaiting(all []*entry) {
	q.waiting = deque[*entry]{}
	for _, e := range all {
		q.waiting.pushBack(e)
	}
}

// givenAt is where a sequence number is, or would be, among those handed out.
func (q *queue) givenAt(seq uint64) int {
	return sort.Search(len(q.given), func(i int) bool { return q.given[i].Seq >= seq })
}

// first is the first pending entry, or nil.
func (q *queue) first() *entry {
	var first *entry
	if q.waiting.len() > 0 {
		first = q.waiting.at(0)
	}
	if len(q.given) > 0 && (first == nil || q.given[0].Seq < first.Seq) {
		first = q.given[0]
	}
	return first
}

// place is the first sequence number that is pending or may come to be.
func (c *memoryCursor) place() uint64 {
	if first := c.first(); first != nil {
		return first.Seq
	}
	return c.m.head + 1
}

// punchAt notes that an event is not pending any more, and nothing is from the
// pending event before it to the one behind it. Without one before it, the
// place tells as much. Holes in there are part of the new one.
func (c *memoryCursor) punchAt(seq uint64) {
	c.dirty = true
	if c.place() > seq {
		return
	}
	before, behind := uint64(0), c.m.head+1
	look := func(n int, at func(int) uint64) {
		i := sort.Search(n, func(i int) bool { return at(i) > seq })
		if i > 0 {
			before = max(before, at(i-1))
		}
		if i < n {
			behind = min(behind, at(i))
		}
	}
	look(len(c.given), func(i int) uint64 { return c.given[i].Seq })
	look(c.waiting.len(), func(i int) uint64 { return c.waiting.at(i).Seq })
	hole := span{before + 1, behind - 1}
	i := sort.Search(len(c.holes), func(i int) bool { return c.holes[i].from >= hole.from })
	j := i
	for j < len(c.holes) && c.holes[j].to <= hole.to {
		j++
	}
	c.holes = slices.Replace(c.holes, i, j, hole)
}

// prune forgets the holes and extras that have fallen behind the place.
func (c *memoryCursor) prune() {
	place := c.place()
	i := 0
	for i < len(c.holes) && c.holes[i].to < place {
		i++
	}
	c.holes = slices.Delete(c.holes, 0, i)
	if len(c.extras) > 0 && c.extras[len(c.extras)-1] < place {
		c.extras, c.moved = nil, true
	}
}

// rebase states anew which events are pending, after the rule that told so has
// changed: those that are now, one by one, and from here on the filters.
func (c *memoryCursor) rebase() {
	c.extras = nil
	for _, e := range c.pending() {
		c.extras = append(c.extras, e.Seq)
	}
	c.since, c.holes = c.m.head+1, nil
	c.dirty, c.moved = true, true
}

// requeue makes next wait, in any order, beside what stays in someone's hands,
// and lets go of all else that was pending. What was buried among it is not
// any more. It is refused where that is more than the cursor can hold.
func (c *memoryCursor) requeue(seq uint64, given, next []*entry) error {
	next = sortEntries(next)
	size := 0
	for _, entries := range [][]*entry{given, next} {
		for _, e := range entries {
			size += e.size()
		}
	}
	if n := len(given) + len(next); c.over(n, size) {
		return &SeekError{Seq: seq, Waiting: n, WaitingSize: size,
			MaxPending: c.m.cfg.MaxPending, MaxBytes: c.m.cfg.MaxPendingBytes}
	}
	old := c.pending()
	for _, entries := range [][]*entry{given, next} {
		for _, e := range entries {
			e.refs++ // before the old ones go: most are the same
		}
	}
	for _, e := range old {
		c.m.release(e)
	}
	c.given, c.bytes = given, size
	c.setWaiting(next)
	c.exhume(next)
	c.rebase()
	c.m.changes.wakeWriter()
	signal(c.wake)
	return nil
}

// releaseAll lets go of everything.
func (c *memoryCursor) releaseAll() {
	for _, e := range c.pending() {
		c.m.release(e)
	}
	for _, b := range c.buried {
		c.m.release(b.entry)
	}
	c.queue = queue{}
}
