package journal

import (
	"cmp"
	"slices"
	"sort"
	"time"

	fifo "agentctl/handler/queue"
)

// MaxExceptions bounds what a Disk writes of a cursor. A cursor with more holes is
// one with as many events in flight at once; past the limit a crash makes what
// was acknowledged come again.
const MaxSettledExceptions = 1000

// maxFailedSpans bounds what a cursor remembers, for the next process, of the
// events that were lost, and of those that were refused. Beyond it spans with
// the least between them become one: of what was delivered between them the
// next process says that it was not, and never the other way round.
const maxFailedSpans = 1000

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

// giveUp loses an entry that was taken off those that wait.
func (c *Cursor) giveUp(e *Entry, reason string) {
	c.bytes -= e.size()
	c.unlead(e)
	c.addExceptionAround(e.Seq)
	n := c.settle(e, verdictLost, time.Now(), 0)
	c.journal.release(e)
	c.lose(n, reason)
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

// sortEntries puts entries in order, each once.
func sortEntries(all []*Entry) []*Entry {
	bySeq := func(a, b *Entry) int { return cmp.Compare(a.Seq, b.Seq) }
	if !slices.IsSortedFunc(all, bySeq) {
		slices.SortFunc(all, bySeq)
	}
	return slices.Compact(all)
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

// position is the first sequence number that is pending or may come to be.
func (c *Cursor) position() uint64 {
	if first := c.first(); first != nil {
		return first.Seq
	}
	return c.journal.head + 1
}

// punch notes that an event which was joined does not wait any more. Where
// there are more holes than will be written it may wait again after a crash.
func (c *Cursor) addException(seq uint64) {
	c.dirty = true
	if c.journal.changes != nil && c.position() <= seq && len(c.settledExceptions) < MaxSettledExceptions {
		c.settledExceptions.add(Span{seq, seq})
	}
}

// punchAt notes that an event is not pending any more, and nothing is from the
// pending event before it to the one behind it. Without one before it, the
// place tells as much. Holes in there are part of the new one.
func (c *Cursor) addExceptionAround(seq uint64) {
	c.dirty = true
	if c.journal.changes == nil || c.position() > seq {
		return // without a file nobody asks
	}
	if c.joined > 0 { // and wait somewhere in between
		c.settledExceptions.add(Span{seq, seq})
		return
	}
	before, behind := uint64(0), c.journal.head+1
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
	look(c.waiting.Len(), func(i int) uint64 { return c.waiting.At(i).Seq })
	c.settledExceptions.add(Span{before + 1, behind - 1})
}

// prune forgets what has fallen behind the place, or the log.
func (c *Cursor) forgetPassed() {
	place := c.position()
	c.settledExceptions.trim(place)
	if len(c.pendingExceptions) > 0 && c.pendingExceptions[len(c.pendingExceptions)-1] < place {
		c.pendingExceptions, c.pendingExceptionsChanged = nil, true
	}
	first := c.journal.firstRetained()
	c.lostSpans.trim(first)
	c.refusedSpans.trim(first)
	for len(c.epochs) > 1 && c.epochs[1].From <= first {
		c.epochs = slices.Delete(c.epochs, 0, 1)
	}
}

// rebase states anew which events are pending, after the rule that told so has
// changed: those that are now, one by one, and from here on the filters.
func (c *Cursor) rebase() {
	c.pendingExceptions = nil
	for _, e := range c.pending() {
		c.pendingExceptions = append(c.pendingExceptions, e.Seq)
	}
	if c.joined > 0 {
		c.pendingExceptions = append(c.pendingExceptions, c.joinedSeqs()...)
		slices.Sort(c.pendingExceptions)
	}
	c.since, c.settledExceptions = c.journal.head+1, nil
	c.dirty, c.pendingExceptionsChanged = true, true
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
