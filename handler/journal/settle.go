package journal

import (
	"slices"
	"time"
)

// Ack settles one event that was handed out: the target has taken it, with an HTTP
// status. Acks may come in any order. An event that is not handed out stays as it
// is. The only error is ErrClosed.
func (c *Cursor) Ack(seq uint64, status int) error {
	return c.conclude(seq, verdictDelivered, status)
}

// Outdate is Ack for an event that was not posted, because it is no longer true.
func (c *Cursor) Outdate(seq uint64) error { return c.conclude(seq, verdictOutdated, 0) }

func (c *Cursor) conclude(seq uint64, v verdict, status int) error {
	now := time.Now()
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if e := c.takeGiven(seq); e != nil {
		c.settle(e, v, now, status)
		c.journal.release(e)
		c.journal.changes.wakeWriter()
	}
	return nil
}

// takeGiven takes an entry from those handed out. It returns nil if it is not among
// them.
func (c *Cursor) takeGiven(seq uint64) *Entry {
	i := c.givenAt(seq)
	if i == len(c.given) || c.given[i].Seq != seq {
		return nil
	}
	e := c.given[i]
	if i == 0 { // the usual case, in constant time
		c.given[0] = nil
		c.given = c.given[1:]
	} else {
		c.given = slices.Delete(c.given, i, i+1)
	}
	c.bytes -= e.size()
	c.addExceptionAround(seq)
	return e
}

// settle notes what became of an event and of those joined to it. It returns how
// many events these are.
func (c *Cursor) settle(e *Entry, v verdict, at time.Time, status int) uint64 {
	r := record{at: at.UnixNano(), status: uint16(status), verdict: v}
	c.note(e.Seq, r)
	if v == verdictDelivered {
		c.took()
	}
	if v == verdictDelivered || v == verdictLost {
		c.passed(e)
	}
	delete(c.asked, e.Seq)
	joined := c.ungroup(e.Seq)
	for _, seq := range joined {
		r.into = uint32(seq - e.Seq)
		c.note(seq, r)
		c.addException(seq)
	}
	return 1 + uint64(len(joined))
}

func (c *Cursor) note(seq uint64, r record) {
	c.outcomes.set(seq, c.journal.firstRetained(), r)
	if c.journal.changes == nil {
		return
	}
	// The next process takes a settled event in neither list for delivered.
	switch r.verdict {
	case verdictLost:
		c.lostSpans.add(Span{seq, seq})
		c.lostSpans.squeeze(maxFailedSpans)
	case verdictBuried:
		c.refusedSpans.add(Span{seq, seq})
		c.refusedSpans.squeeze(maxFailedSpans)
	}
}

// giveUp loses an entry that was just taken off those that wait.
func (c *Cursor) giveUp(e *Entry, reason string) {
	c.bytes -= e.size()
	c.unlead(e)
	c.addExceptionAround(e.Seq)
	n := c.settle(e, verdictLost, time.Now(), 0)
	c.journal.release(e)
	c.lose(n, reason)
}
