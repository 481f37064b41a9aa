package journal

import (
	"slices"
	"sort"
)

// MaxSettledExceptions bounds what a Disk writes of a cursor. A cursor with more holes is
// one with as many events in flight at once; past the limit a crash makes what
// was acknowledged come again.
const MaxSettledExceptions = 1000

// maxFailedSpans bounds what a cursor remembers, for the next process, of the
// events that were lost, and of those that were refused. Beyond it spans with
// the least between them become one: of what was delivered between them the
// next process says that it was not, and never the other way round.
const maxFailedSpans = 1000

// position is the first sequence number that is pending or may come to be.
func (c *Cursor) position() uint64 {
	if first := c.first(); first != nil {
		return first.Seq
	}
	return c.journal.head + 1
}

// addException notes that an event which was joined does not wait any more. Where
// there are more holes than will be written it may wait again after a crash.
func (c *Cursor) addException(seq uint64) {
	c.dirty = true
	if c.journal.changes != nil && c.position() <= seq && len(c.settledExceptions) < MaxSettledExceptions {
		c.settledExceptions.add(Span{seq, seq})
	}
}

// addExceptionAround notes that an event is not pending any more, and nothing is from the
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

// forgetPassed forgets what has fallen behind the place, or the log.
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
