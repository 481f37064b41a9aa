package journal

import (
	"slices"
	"sort"
)

// MaxSettledExceptions bounds the settled exceptions of a cursor that a file holds.
// A cursor has more of them only with as many events in flight at once. Past the
// limit a crash makes settled events come again.
const MaxSettledExceptions = 1000

// maxFailedSpans bounds the spans of lost events, and those of refused events, that
// a cursor remembers for the next process. Beyond it the spans with the least
// between them become one. So the next process may call a delivered event lost or
// buried, and never a lost one delivered.
const maxFailedSpans = 1000

// position is the first sequence number that is not settled: that of the first
// pending event, or of the next event to come.
func (c *Cursor) position() uint64 {
	if first := c.first(); first != nil {
		return first.Seq
	}
	return c.journal.log.head + 1
}

// addException notes that a joined event does not wait any more. If the cursor has
// as many settled exceptions as the file takes, the event may wait again after a
// crash.
func (c *Cursor) addException(seq uint64) {
	c.dirty = true
	if c.journal.changes != nil && c.position() <= seq && len(c.settledExceptions) < MaxSettledExceptions {
		c.settledExceptions.add(Span{seq, seq})
	}
}

// addExceptionAround notes that an event is settled. So is then everything from the
// pending event before it to the pending event behind it. If no pending event is
// before it, the position tells as much. The new exception takes in those that it
// covers.
func (c *Cursor) addExceptionAround(seq uint64) {
	c.dirty = true
	if c.journal.changes == nil || c.position() > seq {
		return // without a file nobody needs them
	}
	if c.joined > 0 { // joined events may be pending in between
		c.settledExceptions.add(Span{seq, seq})
		return
	}
	before, behind := uint64(0), c.journal.log.head+1
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

// forgetPassed forgets exceptions below the position, and spans and filter epochs
// that have left the history.
func (c *Cursor) forgetPassed() {
	position := c.position()
	c.settledExceptions.trim(position)
	if len(c.pendingExceptions) > 0 && c.pendingExceptions[len(c.pendingExceptions)-1] < position {
		c.pendingExceptions, c.pendingExceptionsChanged = nil, true
	}
	first := c.journal.firstRetained()
	c.lostSpans.trim(first)
	c.refusedSpans.trim(first)
	for len(c.epochs) > 1 && c.epochs[1].From <= first {
		c.epochs = slices.Delete(c.epochs, 0, 1)
	}
}

// rebase states anew which events are pending, after the rule changed. It lists the
// events that are pending now, one by one. From now on the filters decide.
func (c *Cursor) rebase() {
	c.pendingExceptions = nil
	for _, e := range c.pending() {
		c.pendingExceptions = append(c.pendingExceptions, e.Seq)
	}
	if c.joined > 0 {
		c.pendingExceptions = append(c.pendingExceptions, c.joinedSeqs()...)
		slices.Sort(c.pendingExceptions)
	}
	c.since, c.settledExceptions = c.journal.log.head+1, nil
	c.dirty, c.pendingExceptionsChanged = true, true
}
