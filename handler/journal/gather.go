package journal

import "slices"

// gather takes the changes since the last call of gather.
func (j *Journal) gather() *Changes {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	changes := &Changes{Generation: u.generation, Header: Header{Head: j.log.head, First: j.firstRetained(), LTime: j.maxLTime}}
	for i := range u.unwritten.Len() {
		if e := u.unwritten.At(i); e.refs > 0 {
			changes.Entries = append(changes.Entries, e)
		}
	}
	changes.Deleted, u.deleted = u.deleted, nil
	changes.Forgotten, u.forgotten = u.forgotten, nil
	for name, c := range j.cursors {
		if c.dirty {
			changes.Cursors = append(changes.Cursors, c.gather(name))
		}
	}
	return changes
}

// gather takes the state of a cursor that changed.
func (c *Cursor) gather(name string) CursorChange {
	c.forgetPassed()
	change := CursorChange{
		Target: name,
		State: CursorState{
			Position:          c.position(),
			Since:             c.since,
			Epochs:            slices.Clone(c.epochs),
			CollapseBelow:     c.below,
			Lost:              c.lost,
			Expired:           c.expired,
			Gap:               c.gap,
			SettledExceptions: slices.Clone(c.settledExceptions[:min(len(c.settledExceptions), MaxSettledExceptions)]),
			LostSpans:         slices.Clone(c.lostSpans),
			RefusedSpans:      slices.Clone(c.refusedSpans),
			LastEvent:         c.last.seq(),
		},
		PendingExceptionsChanged: c.pendingExceptionsChanged,
	}
	if c.pendingExceptionsChanged {
		change.PendingExceptions = c.pendingExceptions // replaced, never changed in place
	}
	if len(c.buriedDirty) > 0 {
		change.Buried = make(map[uint64]*Burial, len(c.buriedDirty))
	}
	for seq := range c.buriedDirty {
		change.Buried[seq] = nil
		if b := c.findBuried(seq); b != nil {
			change.Buried[seq] = &b.why
		}
	}
	c.dirty, c.pendingExceptionsChanged, c.buriedDirty = false, false, nil
	return change
}

// written is told that changes are in the file.
func (j *Journal) written(changes *Changes) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	for _, e := range changes.Entries {
		e.written = true
		if e.refs > 0 {
			u.live--
			u.liveBytes -= e.size()
			j.unneed(e)
		} else {
			u.deleted = append(u.deleted, e.Seq)
			signal(u.wake)
		}
	}
	for u.unwritten.Len() > 0 && u.unwritten.At(0).Seq <= changes.Header.Head {
		u.unwritten.PopFront()
	}
}

// notWritten is told that changes may not be in the file, or not in full. The next
// gather returns them again.
func (j *Journal) notWritten(changes *Changes) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	u.deleted = append(changes.Deleted, u.deleted...)
	u.forgotten = append(changes.Forgotten, u.forgotten...)
	for _, change := range changes.Cursors {
		c := j.cursors[change.Target]
		if c == nil {
			continue // forgotten meanwhile
		}
		c.dirty = true
		c.pendingExceptionsChanged = c.pendingExceptionsChanged || change.PendingExceptionsChanged
		for seq := range change.Buried {
			c.touchBuried(seq)
		}
	}
}
