package journal

import (
	"bytes"
	"slices"
	"time"

	"agentctl/handler"
)

// Bury is Ack for an event that the target refused for good. The event is kept with
// the reason until it has been buried for MaxAge, MaxBuried others were buried
// after it, Requeue makes it wait again, or Dismiss forgets it.
func (c *Cursor) Bury(seq uint64, why Burial) error {
	if why.Time.IsZero() {
		why.Time = time.Now()
	}
	why.Answer = bytes.Clone(why.Answer)
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	e := c.takeGiven(seq)
	if e == nil {
		return nil
	}
	c.settle(e, verdictBuried, why.Time, why.Status)
	c.buried = append(c.buried, &buriedEntry{entry: e, why: why, last: true}) // which takes over the reference of c.given
	c.touchBuried(seq)
	if len(c.buried) > c.journal.cfg.MaxBuried {
		c.dropBuried()
	}
	c.journal.changes.wakeWriter()
	return nil
}

// Buried returns the buried events, in the order of burial. A closed cursor returns those
// of the next one of its target, once there is one.
func (c *Cursor) Buried() []Buried {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	c = c.newest()
	c.trimBuried(time.Now().Add(-c.journal.cfg.MaxAge))
	out := make([]Buried, len(c.buried))
	for i, b := range c.buried {
		out[i] = Buried{b.entry.Seq, b.entry.Event, b.why}
	}
	return out
}

// Dismiss forgets burials, by the numbers of their events: all of them, or none. Nothing
// is posted, and the events stay in the history. The error is a *NotBuriedError or
// ErrClosed.
func (c *Cursor) Dismiss(seqs ...uint64) error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	entries := make([]*Entry, 0, len(seqs))
	for _, seq := range seqs {
		b := c.findBuried(seq)
		if b == nil {
			return &NotBuriedError{seq}
		}
		entries = append(entries, b.entry)
	}
	c.exhume(entries)
	c.journal.changes.wakeWriter()
	return nil
}

// took notes that the target has taken an event, so that no burial of before is its last
// answer any more.
func (c *Cursor) took() {
	for i := len(c.buried) - 1; i >= 0 && c.buried[i].last; i-- {
		c.buried[i].last = false
	}
}

// refusingSince returns the time of the first of the burials that the target took nothing
// after, as far as they are kept; zero if there is none.
func (c *Cursor) refusingSince() (since time.Time) {
	for i := len(c.buried) - 1; i >= 0 && c.buried[i].last; i-- {
		since = c.buried[i].why.Time
	}
	return since
}

// restoreLast marks the burials that the target took nothing after. A file does not hold
// the order in which events were settled: that of their numbers stands for it.
func (c *Cursor) restoreLast() {
	if len(c.buried) == 0 {
		return
	}
	seq := c.journal.log.head
	for ; seq >= c.journal.firstRetained(); seq-- {
		e := c.journal.retained(seq)
		if e != nil && c.meant(e) && c.holds(seq) == nil && !c.lostSpans.has(seq) && !c.refusedSpans.has(seq) {
			break // delivered
		}
	}
	for i := len(c.buried) - 1; i >= 0 && c.buried[i].entry.Seq > seq; i-- {
		c.buried[i].last = true
	}
}

// exhume takes those of the entries that are buried off the list.
func (c *Cursor) exhume(entries []*Entry) {
	if len(c.buried) == 0 {
		return
	}
	up := make(map[uint64]bool, len(entries))
	for _, e := range entries {
		up[e.Seq] = true
	}
	c.buried = slices.DeleteFunc(c.buried, func(b *buriedEntry) bool {
		if !up[b.entry.Seq] {
			return false
		}
		c.touchBuried(b.entry.Seq)
		c.journal.release(b.entry)
		return true
	})
}

// trimBuried forgets the burials before a time.
func (c *Cursor) trimBuried(oldest time.Time) {
	for len(c.buried) > 0 && c.buried[0].why.Time.Before(oldest) {
		c.dropBuried()
	}
}

// dropBuried forgets the oldest burial.
func (c *Cursor) dropBuried() {
	b := c.buried[0]
	c.buried = slices.Delete(c.buried, 0, 1)
	c.touchBuried(b.entry.Seq)
	c.journal.release(b.entry)
}

func (c *Cursor) touchBuried(seq uint64) {
	if c.journal.changes == nil {
		return
	}
	if c.buriedDirty == nil {
		c.buriedDirty = make(map[uint64]struct{})
	}
	c.buriedDirty[seq] = struct{}{}
	c.dirty = true
}

// Burial tells when and why an event was buried.
type Burial struct {
	Time   time.Time // for Bury zero means now
	Status int       // of the target's answer; 0 if there was none
	Reason string    // one line
	Answer []byte    // the first bytes of the answer's body
}

// Buried is an event that a target refused for good.
type Buried struct {
	Seq   uint64
	Event handler.Event
	Burial
}
