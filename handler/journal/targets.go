package journal

import (
	"fmt"
	"maps"
	"slices"

	"agentctl/handler"
)

// Cursor opens the cursor of a target, whose name has at most 1,024 bytes. The cursor
// of a new target stands at the end of the log. That of a known target goes on with
// its pending events, also from an earlier process. A target has one open cursor at
// a time; else the error is ErrCursorInUse. A closed cursor keeps its position and
// gathers events by its last filters, until Forget.
func (j *Journal) Cursor(target string, cfg CursorConfig) (*Cursor, error) {
	if len(target) > handler.MaxTargetName {
		return nil, fmt.Errorf("the name of a target has %d bytes, and the limit is %d: give it a shorter one", len(target), handler.MaxTargetName)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	old := j.cursors[target]
	if old != nil && !old.closed {
		return nil, ErrCursorInUse
	}
	c := newCursor(j)
	if old == nil {
		c.queue = queue{epochs: []FilterEpoch{{j.log.head + 1, cfg.Filters}}, since: j.log.head + 1, dirty: true, pendingExceptionsChanged: true}
	} else {
		c.queue, old.queue, old.successor = old.queue, queue{}, c
		if c.filters().String() != cfg.Filters.String() {
			c.newEpoch(cfg.Filters)
		}
		if c.gap.Open() {
			signal(c.losses)
		}
	}
	c.maxAge, c.collapsed = cfg.MaxAge, 0
	c.setCollapse(cfg.Collapse)
	c.keepLast(cfg.KeepLast)
	j.cursors[target] = c
	j.changes.wakeWriter()
	return c, nil
}

// Targets returns the names of all targets, with an open or a closed cursor, in order.
func (j *Journal) Targets() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Sorted(maps.Keys(j.cursors))
}

// CursorStatus tells how the cursor of a target stands, open or closed. It is false if
// there is none.
func (j *Journal) CursorStatus(target string) (CursorStatus, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.cursors[target]
	if c == nil {
		return CursorStatus{}, false
	}
	return c.status(), true
}

// Outcome tells what became of an event for a target. It knows of the events of the
// history, and of those that are pending or buried.
func (j *Journal) Outcome(target string, seq uint64) Outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.cursors[target]
	if c == nil {
		return Outcome{}
	}
	return c.outcome(seq)
}

// Forget drops a target's cursor, with everything in it. Call it for a target that is
// gone for good. If the cursor is open, the error is ErrCursorInUse. An unknown target
// is no error.
func (j *Journal) Forget(target string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.cursors[target]
	if c == nil {
		return nil
	}
	if !c.closed {
		return ErrCursorInUse
	}
	delete(j.cursors, target)
	c.releaseAll()
	j.changes.forget(target)
	j.changes.wakeWriter()
	return nil
}
