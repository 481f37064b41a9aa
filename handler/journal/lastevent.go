package journal

// last keeps a target's last event, so that it can be posted once more after the
// history has let go of it. It is for targets that hold nothing but the content of
// their last event. The entry is held like a pending one, and by the file too.
type last struct {
	keep  bool
	entry *Entry // nil if there was none
}

// keepLast begins or ends to keep the last event. If it begins, it looks for the
// event in the history.
func (c *Cursor) keepLast(keep bool) {
	if c.keep = keep; !keep {
		c.remember(nil)
		return
	}
	for seq := c.journal.log.head; seq >= c.journal.firstRetained() && c.last.entry == nil; seq-- {
		switch c.outcome(seq).State {
		case OutcomeDelivered, OutcomeLost:
			c.remember(c.journal.retained(seq))
		}
	}
}

// passed is called for an event that the target took, or that was given up.
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
		c.journal.hold(e)
	}
	c.last.entry, c.dirty = e, true
	if before != nil {
		c.journal.release(before)
	}
}

// seq is the sequence number of the last event, or 0.
func (l *last) seq() uint64 {
	if l.entry == nil {
		return 0
	}
	return l.entry.Seq
}

// RequeueLast makes the target's last event wait once more: the newest one that the
// target took or that was given up. Refused and outdated events do not count. If a
// newer event is pending, RequeueLast does nothing, because that one is enough. The
// cursor needs a CursorConfig with KeepLast. The error is ErrNoLast if no last event
// is known and none is pending, or one of Requeue's.
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
