package journal

// last is a queue's memory of the newest event of a target that each event
// makes anew, so that it can be posted once more after the history has let go
// of it. It is held like an event that waits, and by the file too.
type last struct {
	keep  bool
	entry *Entry // nil: there was none
}

// keepLast begins to remember, or ends it. Of what was before it knows what
// the history tells.
func (c *Cursor) keepLast(keep bool) {
	if c.keep = keep; !keep {
		c.remember(nil)
		return
	}
	for i := c.journal.log.Len() - 1; i >= 0 && c.last.entry == nil; i-- {
		switch e := c.journal.log.At(i); c.outcome(e.Seq).State {
		case OutcomeDelivered, OutcomeLost:
			c.remember(e)
		}
	}
}

// passed is told of an event that the target took, or that was given up.
func (c *Cursor) passed(e *Entry) {
	if c.keep && (c.last.entry == nil || c.last.entry.Seq < e.Seq) {
		c.remember(e)
	}
}

func (c *Cursor) remember(e *Entry) {
	before := c.last.entry
	if before == e {
		return
	}
	if e != nil {
		e.refs++
	}
	c.last.entry, c.dirty = e, true
	if before != nil {
		c.journal.release(before)
	}
}

// seq is that of the event, or 0.
func (l *last) seq() uint64 {
	if l.entry == nil {
		return 0
	}
	return l.entry.Seq
}

// RequeueLast makes the newest event wait once more that the target took or that
// was given up, unless a newer one waits: it comes behind what is older, and
// before all that is to come. Those that were refused or outdated do not count.
// It is for a CursorConfig with KeepLast, and fails with ErrNoLast where no such
// event is known, and none waits.
func (c *Cursor) RequeueLast() error {
	c.journal.mu.Lock()
	defer c.journal.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	newest := uint64(0)
	if n := len(c.given); n > 0 {
		newest = c.given[n-1].Seq
	}
	if n := c.waiting.Len(); n > 0 {
		newest = max(newest, c.waiting.At(n-1).Seq)
	}
	switch seq := c.last.seq(); {
	case newest > seq, seq > 0 && newest == seq:
		return nil
	case seq == 0:
		return ErrNoLast
	default:
		return c.requeue(seq)
	}
}
