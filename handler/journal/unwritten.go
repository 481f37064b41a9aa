package journal

import (
	"iter"
	"slices"

	"agentctl/handler"
	fifo "agentctl/handler/queue"
)

// unwrittenChanges is what a journal's file lacks of what its memory holds. It is
// guarded by the journal's lock. A nil *changes is that of a journal without a
// file, and notes nothing.
//
// It cannot outgrow the journal's limits, however long the disk is stuck: an
// entry that nobody holds any more need not be written, and a cursor is one
// state, however often it changed.
type unwrittenChanges struct {
	unwritten fifo.Ring[*Entry] // appended and not written; dead ones among them
	live      int               // those that someone holds
	liveBytes int
	gone      []uint64 // written, and let go of by all
	forgotten []string // targets

	generation uint64        // grows with each change
	wake       chan struct{} // holds a value when there is something to write

	maxLive, maxLiveBytes int
	behind                chan struct{} // holds a value when more than those wait
}

// maxDead is how many of the unwritten may be dead, whatever their share.
const maxDead = 1024

func (u *unwrittenChanges) appended(e *Entry) {
	if u == nil {
		return
	}
	u.unwritten.PushBack(e)
	u.live++
	u.liveBytes += e.size()
	if u.over() {
		signal(u.behind)
	}
}

func (u *unwrittenChanges) over() bool {
	return u.live > u.maxLive || u.liveBytes > u.maxLiveBytes
}

// freed is told of an entry that nobody holds any more.
func (u *unwrittenChanges) freed(e *Entry) {
	if u == nil {
		return
	}
	if e.written {
		u.gone = append(u.gone, e.Seq)
		return
	}
	u.live--
	u.liveBytes -= e.size()
	if n := u.unwritten.Len(); n > maxDead && n > 2*u.live {
		for range n {
			if e := u.unwritten.PopFront(); e.refs > 0 {
				u.unwritten.PushBack(e)
			}
		}
	}
}

func (u *unwrittenChanges) forget(target string) {
	if u != nil {
		u.forgotten = append(u.forgotten, target)
	}
}

// wakeWriter ends each call that changed something.
func (u *unwrittenChanges) wakeWriter() {
	if u == nil {
		return
	}
	u.generation++
	signal(u.wake)
}

// Changes is what goes into one commit.
type Changes struct {
	Generation uint64
	Header     Header
	Entries    []*Entry
	Deleted    []uint64
	Forgotten  []string
	Cursors    []CursorChange
}

// Empty tells that there is nothing to write. The header alone does not count:
// what it says changes with events that come or go.
func (changes *Changes) Empty() bool {
	return len(changes.Entries) == 0 && len(changes.Deleted) == 0 && len(changes.Forgotten) == 0 && len(changes.Cursors) == 0
}

// commitEvents is how many events one transaction takes. After an outage of
// the disk there may be a hundred thousand.
const commitEvents = 5000

// Parts cuts a batch into what one transaction takes. Cursors may stand behind
// the last event, so they come with the last part; before it the header says
// no more than the events that are there.
func (changes *Changes) Parts() iter.Seq[*Changes] {
	return func(yield func(*Changes) bool) {
		last := *changes
		for len(last.Entries) > commitEvents {
			part := &Changes{Header: changes.Header, Entries: last.Entries[:commitEvents]}
			part.Header.Head = part.Entries[commitEvents-1].Seq
			part.Header.First = min(part.Header.First, part.Header.Head+1)
			part.Header.LTime = 0 // put keeps the file's, if that is higher
			for _, e := range part.Entries {
				if e.Event.Type == handler.User {
					part.Header.LTime = max(part.Header.LTime, e.Event.LTime)
				}
			}
			if !yield(part) {
				return
			}
			last.Entries = last.Entries[commitEvents:]
		}
		yield(&last)
	}
}

// CursorChange is a cursor's state at the time of a batch.
type CursorChange struct {
	Target                   string
	State                    CursorState
	PendingExceptionsChanged bool // extras are to be written
	PendingExceptions        []uint64
	Buried                   map[uint64]*Burial
}

// gather takes what has changed since the last batch.
func (j *Journal) gather() *Changes {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	changes := &Changes{Generation: u.generation, Header: Header{Head: j.head, First: j.firstRetained(), LTime: j.maxLTime}}
	for i := range u.unwritten.Len() {
		if e := u.unwritten.At(i); e.refs > 0 {
			changes.Entries = append(changes.Entries, e)
		}
	}
	changes.Deleted, u.gone = u.gone, nil
	changes.Forgotten, u.forgotten = u.forgotten, nil
	for name, c := range j.cursors {
		if c.dirty {
			changes.Cursors = append(changes.Cursors, c.gather(name))
		}
	}
	return changes
}

// gather takes the state of a dirty cursor.
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

// written is told that a batch is in the file.
func (j *Journal) written(changes *Changes) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	for _, e := range changes.Entries {
		e.written = true
		if e.refs > 0 {
			u.live--
			u.liveBytes -= e.size()
		} else {
			u.gone = append(u.gone, e.Seq)
			signal(u.wake)
		}
	}
	for u.unwritten.Len() > 0 && u.unwritten.At(0).Seq <= changes.Header.Head {
		u.unwritten.PopFront()
	}
}

// notWritten is told that a batch may not be in the file, nor in part: its
// changes are for the next one.
func (j *Journal) notWritten(changes *Changes) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	u.gone = append(changes.Deleted, u.gone...)
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
