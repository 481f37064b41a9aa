package journal

import (
	"time"

	"agentctl/handler"
	"agentctl/handler/text"
)

// Gap says that n events were lost before they could be appended, or with 0 that
// it cannot be shown that none was. For whom they were is not known: every
// cursor counts them among its losses, and has a gap from now on. The reason is
// shown; it is cut to some 200 bytes.
func (j *Journal) Gap(n uint64, reason string) error {
	return j.lose(n, reason, func(*Cursor) bool { return true })
}

// Lose is Gap for one event of which type and name are known: it was lost to the
// cursors whose filters pick it, and to no other.
func (j *Journal) Lose(typ handler.Type, name, reason string) error {
	return j.lose(1, reason, func(c *Cursor) bool { return c.filters().Match(typ, name) })
}

// lose counts losses of the cursors that had them.
func (j *Journal) lose(n uint64, reason string, had func(*Cursor) bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	for _, c := range j.cursors {
		if had(c) {
			c.lose(n, reason)
		}
	}
	j.changes.wakeWriter()
	return nil
}

// lose counts events that this cursor will never hand out, and opens a gap if
// there is none.
func (c *Cursor) lose(n uint64, reason string) {
	if !c.gap.Open() {
		c.gap.Since = time.Now()
	}
	c.gap.Watermark++
	c.gap.Reason = text.Excerpt(reason, maxReason)
	c.lost += n
	c.dirty = true
	signal(c.losses)
}

// Losses receives after events were lost, one value for any number, and at once
// when a cursor is opened that has a gap.
func (c *Cursor) Losses() <-chan struct{} { return c.losses }

// Gap is that of the journal for this cursor alone.
func (c *Cursor) Gap(n uint64, reason string) error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.lose(n, reason)
	c.journal.changes.wakeWriter()
	return nil
}

// Mend says that the losses up to a mark, that of a CursorStatus read at the
// given time, harm the target no more. Without newer ones the gap is closed;
// else it goes on, and began then.
func (c *Cursor) Mend(mark uint64, at time.Time) error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case !c.gap.Open():
		return nil
	case c.gap.Watermark <= mark:
		c.gap = Gap{Watermark: c.gap.Watermark}
	case at.After(c.gap.Since):
		c.gap.Since = at
	}
	c.dirty = true
	c.journal.changes.wakeWriter()
	return nil
}

// maxReason bounds, in bytes, why a gap came to be.
const maxReason = 200

// Gap is what a target surely or possibly lacks, from the first event that was
// lost until Mend. It outlives the process where the journal does.
type Gap struct {
	Since  time.Time // of the first loss; zero: there is no gap
	Reason string    // of the newest loss: one line, of at most some 200 bytes
	// Watermark grows with each loss, in this process, and is what Mend takes.
	Watermark uint64
}

// Open tells whether there is a gap.
func (g Gap) Open() bool { return !g.Since.IsZero() }

// Why events are lost that the journal had.
const tooManyWaited = "more events waited than the limit allows"

const waitedTooLong = "an event waited for longer than max_age"
