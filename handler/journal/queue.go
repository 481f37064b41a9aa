package journal

import (
	"sort"
	"time"

	fifo "agentctl/handler/queue"
)

// queue is what a target waits for, whoever holds its cursor. Its pending
// events are those in extras, and those from since on that pass the filters,
// less what is below the first pending event or in a hole. That rule, and not
// each event's state, is what a Disk writes.
type queue struct {
	epochs []FilterEpoch // of filters, in order, at least one

	given   []*Entry          // handed out and not acknowledged, by sequence number
	waiting fifo.Ring[*Entry] // not handed out, likewise
	bytes   int               // size of both
	lost    uint64
	expired uint64 // of those
	gap     Gap
	buried  []*buriedEntry       // in the order of burial
	asked   map[uint64]time.Time // when events that wait once more were asked for; of this process

	since             uint64
	pendingExceptions []uint64 // in order
	settledExceptions spans

	collapse
	last

	outcomes     outcomes // in this process
	lostSpans    spans    // what was lost, and what refused, for the next process
	refusedSpans spans

	dirty                    bool                // any of it changed since it was gathered for the disk
	pendingExceptionsChanged bool                // extras did
	buriedDirty              map[uint64]struct{} // and these burials, by sequence number
}

// burial is a buried event.
type buriedEntry struct {
	entry *Entry
	why   Burial
}

// pending is what is handed out or waits, in order.
func (q *queue) pending() []*Entry {
	all := make([]*Entry, 0, len(q.given)+q.waiting.Len())
	all = append(all, q.given...)
	for i := range q.waiting.Len() {
		all = append(all, q.waiting.At(i))
	}
	return sortEntries(all)
}

func (q *queue) setWaiting(all []*Entry) {
	q.waiting = fifo.Ring[*Entry]{}
	for _, e := range all {
		q.waiting.PushBack(e)
	}
}

// givenAt is where a sequence number is, or would be, among those handed out.
func (q *queue) givenAt(seq uint64) int {
	return sort.Search(len(q.given), func(i int) bool { return q.given[i].Seq >= seq })
}

// waitingAt is the same among those that wait.
func (q *queue) waitingAt(seq uint64) int {
	return sort.Search(q.waiting.Len(), func(i int) bool { return q.waiting.At(i).Seq >= seq })
}

// first is the first pending entry, or nil.
func (q *queue) first() *Entry {
	var first *Entry
	if q.waiting.Len() > 0 {
		first = q.waiting.At(0)
	}
	if len(q.given) > 0 && (first == nil || q.given[0].Seq < first.Seq) {
		first = q.given[0]
	}
	return first
}

// releaseAll lets go of everything.
func (c *Cursor) releaseAll() {
	for _, e := range c.pending() {
		c.journal.release(e)
	}
	for _, b := range c.buried {
		c.journal.release(b.entry)
	}
	c.remember(nil)
	c.queue = queue{}
}
