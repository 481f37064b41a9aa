package journal

import (
	"time"

	"agentctl/handler"
	"agentctl/handler/text"
)

// Gap says that n events were lost before they could be appended. With 0 it says
// that nobody can rule out a loss. Nobody knows which targets the events were for.
// So every cursor counts them among its losses, and has a gap from now on. The
// reason is cut to some 200 bytes. The only error is ErrClosed.
func (j *Journal) Gap(n uint64, reason string) error {
	return j.lose(n, reason, func(*Cursor) bool { return true })
}

// Lose is Gap for one event with a known type and name. Only the cursors whose
// filters pick it lose it.
func (j *Journal) Lose(typ handler.Type, name, reason string) error {
	return j.lose(1, reason, func(c *Cursor) bool { return c.filters().Match(typ, name) })
}

// lose counts losses of some of the cursors.
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

// lose counts events that this cursor will never hand out, and opens its gap if it
// is not open.
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

// Losses receives after events were lost, one value for any number of them. It also
// receives at once if the cursor was opened with an open gap.
func (c *Cursor) Losses() <-chan struct{} { return c.losses }

// Gap is Journal.Gap for this cursor alone.
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

// Mend says that the losses up to a watermark harm the target no more. The caller
// read the watermark from a CursorStatus at the given time. If nothing was lost
// since, the gap is closed. Else it goes on, and began at that time.
func (c *Cursor) Mend(watermark uint64, at time.Time) error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case !c.gap.Open():
		return nil
	case c.gap.Watermark <= watermark:
		c.gap = Gap{Watermark: c.gap.Watermark}
	case at.After(c.gap.Since):
		c.gap.Since = at
	}
	c.dirty = true
	c.journal.changes.wakeWriter()
	return nil
}

// maxReason bounds the reason of a gap, in bytes before escapes.
const maxReason = 200

// Gap is the time in which a target lacks events, or may lack some: from the first
// loss until Mend. If the journal has a file, a gap outlives the process.
type Gap struct {
	Since     time.Time // when the first loss was; zero if there is no gap
	Reason    string    // why the newest loss was; one line
	Watermark uint64    // grows with each loss; other processes have other watermarks
}

// Open tells whether there is a gap.
func (g Gap) Open() bool { return !g.Since.IsZero() }

// The reasons of the losses that a cursor decides.
const (
	tooManyWaited = "more events waited than the limit allows"
	waitedTooLong = "an event waited for longer than max_age"
)
