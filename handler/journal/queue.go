package journal

import (
	"sort"
	"time"

	fifo "agentctl/handler/queue"
)

// queue is the state of one target, whoever holds its cursor. An event is pending if
// it is a pending exception, or if it has a number from since on and passes the
// filters. It is settled nevertheless if it is below the position or a settled
// exception. A file holds that rule, and not the state of each event.
type queue struct {
	epochs []FilterEpoch // in order, at least one

	given   []*Entry          // handed out and not acknowledged, by sequence number
	waiting fifo.Ring[*Entry] // not handed out, likewise
	bytes   int               // size of both
	lost    uint64
	expired uint64 // of those
	gap     Gap
	buried  []*buriedEntry       // in the order of burial
	asked   map[uint64]time.Time // when events were requeued, in this process

	since             uint64   // from this event on, the filters tell which are pending
	pendingExceptions []uint64 // in order; replaced, and never changed in place
	settledExceptions spans

	collapse
	last

	outcomes     outcomes // in this process
	lostSpans    spans    // events that were lost, for the next process
	refusedSpans spans    // events that were refused, likewise

	dirty                    bool                // any of it changed since it was gathered for the file
	pendingExceptionsChanged bool                // likewise
	buriedDirty              map[uint64]struct{} // the burials that changed, by sequence number
}

// buriedEntry is a buried event.
type buriedEntry struct {
	entry *Entry
	why   Burial
	last  bool // the target has taken nothing since; such entries are at the end
}

// pending returns the entries that are handed out or wait, in order.
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

// givenAt is the index of a sequence number among the entries handed out, or where
// it would be.
func (q *queue) givenAt(seq uint64) int {
	return sort.Search(len(q.given), func(i int) bool { return q.given[i].Seq >= seq })
}

// waitingAt is the same among the entries that wait.
func (q *queue) waitingAt(seq uint64) int {
	return sort.Search(q.waiting.Len(), func(i int) bool { return q.waiting.At(i).Seq >= seq })
}

// first returns the first pending entry, or nil.
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

// releaseAll lets go of everything, for a target that is forgotten.
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
