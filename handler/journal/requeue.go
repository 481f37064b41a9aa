package journal

import (
	"slices"
	"time"
)

// Requeue makes events wait once more, in the order of their sequence numbers,
// whether the filters pick them or not. Events that are pending or joined already
// stay as they are. Either all wait or none: the error is a *NotHeldError if the
// journal does not hold one of them, a *TooManyError if they do not fit, or
// ErrClosed.
func (c *Cursor) Requeue(seqs ...uint64) error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return c.requeue(seqs...)
}

// requeue is Requeue with the journal's lock held.
func (c *Cursor) requeue(seqs ...uint64) error {
	var more []*Entry
	for _, seq := range seqs {
		if c.holds(seq) != nil || c.outcomes.get(seq).verdict == verdictJoined {
			continue
		}
		e := c.journal.retained(seq)
		if e == nil && seq == c.last.seq() {
			e = c.last.entry
		}
		if e == nil {
			b := c.findBuried(seq)
			if b == nil {
				return &NotHeldError{seq}
			}
			e = b.entry
		}
		more = append(more, e)
	}
	more = sortEntries(more)
	if len(more) == 0 {
		return nil
	}
	if err := c.room(more); err != nil {
		return err
	}
	c.noteAsked(more)
	for _, e := range more {
		c.journal.hold(e)
		c.bytes += e.size()
		c.lostSpans.remove(e.Seq)
		c.refusedSpans.remove(e.Seq)
		c.lead(e) // if none does; e itself is not joined, as it was asked for by number
	}
	waiting := make([]*Entry, 0, c.waiting.Len()+len(more))
	for i := range c.waiting.Len() {
		waiting = append(waiting, c.waiting.At(i))
	}
	c.setWaiting(sortEntries(append(waiting, more...)))
	c.exhume(more)
	c.rebase()
	c.journal.changes.wakeWriter()
	signal(c.wake)
	return nil
}

// noteAsked notes that events wait from now on, whatever their age. An operator who
// replays an event older than MaxAge wants it posted.
func (c *Cursor) noteAsked(more []*Entry) {
	if c.maxAge <= 0 {
		return
	}
	if c.asked == nil {
		c.asked = make(map[uint64]time.Time)
	}
	now := time.Now()
	for _, e := range more {
		c.asked[e.Seq] = now
	}
}

// room refuses events that do not fit beside the pending ones.
func (c *Cursor) room(more []*Entry) error {
	cfg := &c.journal.cfg
	pending := len(c.given) + c.waiting.Len()
	n, size, free := pending+len(more), c.bytes, 0
	for i, e := range more {
		size += e.size()
		if !c.over(pending+i+1, size) {
			free = i + 1
		}
	}
	if free == len(more) {
		return nil
	}
	return &TooManyError{Waiting: n, WaitingBytes: size, maxEvents: cfg.MaxPending, maxBytes: cfg.MaxPendingBytes, Free: free}
}

// holds returns the entry of a pending event, or nil.
func (c *Cursor) holds(seq uint64) *Entry {
	if i := c.givenAt(seq); i < len(c.given) && c.given[i].Seq == seq {
		return c.given[i]
	}
	if i := c.waitingAt(seq); i < c.waiting.Len() && c.waiting.At(i).Seq == seq {
		return c.waiting.At(i)
	}
	return nil
}

// findBuried returns the burial of an event, or nil.
func (c *Cursor) findBuried(seq uint64) *buriedEntry {
	i := slices.IndexFunc(c.buried, func(b *buriedEntry) bool { return b.entry.Seq == seq })
	if i < 0 {
		return nil
	}
	return c.buried[i]
}
