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

	gen  uint64        // grows with each change
	wake chan struct{} // holds a value when there is something to write

	maxLive, maxLiveBytes int
	behind                chan struct{} // holds a value when more than those wait
}

// maxDead is how many of the unwritten may be dead, whatever their share.
const maxDead = 1024

func (ch *unwrittenChanges) appended(e *Entry) {
	if ch == nil {
		return
	}
	ch.unwritten.PushBack(e)
	ch.live++
	ch.liveBytes += e.size()
	if ch.over() {
		signal(ch.behind)
	}
}

func (ch *unwrittenChanges) over() bool {
	return ch.live > ch.maxLive || ch.liveBytes > ch.maxLiveBytes
}

// freed is told of an entry that nobody holds any more.
func (ch *unwrittenChanges) freed(e *Entry) {
	if ch == nil {
		return
	}
	if e.written {
		ch.gone = append(ch.gone, e.Seq)
		return
	}
	ch.live--
	ch.liveBytes -= e.size()
	if n := ch.unwritten.Len(); n > maxDead && n > 2*ch.live {
		for range n {
			if e := ch.unwritten.PopFront(); e.refs > 0 {
				ch.unwritten.PushBack(e)
			}
		}
	}
}

func (ch *unwrittenChanges) forget(target string) {
	if ch != nil {
		ch.forgotten = append(ch.forgotten, target)
	}
}

// wakeWriter ends each call that changed something.
func (ch *unwrittenChanges) wakeWriter() {
	if ch == nil {
		return
	}
	ch.gen++
	signal(ch.wake)
}

// Changes is what goes into one commit.
type Changes struct {
	Gen       uint64
	Header    Header
	Entries   []*Entry
	Gone      []uint64
	Forgotten []string
	Cursors   []CursorChange
}

// Empty tells that there is nothing to write. The header alone does not count:
// what it says changes with events that come or go.
func (b *Changes) Empty() bool {
	return len(b.Entries) == 0 && len(b.Gone) == 0 && len(b.Forgotten) == 0 && len(b.Cursors) == 0
}

// commitEvents is how many events one transaction takes. After an outage of
// the disk there may be a hundred thousand.
const commitEvents = 5000

// Parts cuts a batch into what one transaction takes. Cursors may stand behind
// the last event, so they come with the last part; before it the header says
// no more than the events that are there.
func (b *Changes) Parts() iter.Seq[*Changes] {
	return func(yield func(*Changes) bool) {
		last := *b
		for len(last.Entries) > commitEvents {
			part := &Changes{Header: b.Header, Entries: last.Entries[:commitEvents]}
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
	Name   string
	State  CursorState
	Moved  bool // extras are to be written
	Extras []uint64
	Buried []burialChange
}

type burialChange struct {
	Seq uint64
	Why *BuriedInfo // nil: it is not buried any more
}

// gather takes what has changed since the last batch.
func (m *Journal) gather() *Changes {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	b := &Changes{Gen: ch.gen, Header: Header{Head: m.head, First: m.firstRetained(), LTime: m.maxLTime}}
	for i := range ch.unwritten.Len() {
		if e := ch.unwritten.At(i); e.refs > 0 {
			b.Entries = append(b.Entries, e)
		}
	}
	b.Gone, ch.gone = ch.gone, nil
	b.Forgotten, ch.forgotten = ch.forgotten, nil
	for name, c := range m.cursors {
		if c.dirty {
			b.Cursors = append(b.Cursors, c.gather(name))
		}
	}
	return b
}

// gather takes the state of a dirty cursor.
func (c *Cursor) gather(name string) CursorChange {
	c.prune()
	change := CursorChange{
		Name: name,
		State: CursorState{
			Position:          c.position(),
			Since:             c.since,
			Epochs:            slices.Clone(c.epochs),
			Collapse:          c.below,
			Lost:              c.lost,
			Expired:           c.expired,
			Gap:               c.gap,
			SettledExceptions: slices.Clone(c.settledExceptions[:min(len(c.settledExceptions), MaxExceptions)]),
			LostIn:            slices.Clone(c.lostIn),
			Refused:           slices.Clone(c.refused),
			Last:              c.last.seq(),
		},
		Moved: c.moved,
	}
	if c.moved {
		change.Extras = c.pendingExceptions // replaced, never changed in place
	}
	for seq := range c.buriedDirty {
		bc := burialChange{Seq: seq}
		for _, b := range c.buried {
			if b.entry.Seq == seq {
				bc.Why = &b.why
			}
		}
		change.Buried = append(change.Buried, bc)
	}
	c.dirty, c.moved, c.buriedDirty = false, false, nil
	return change
}

// written is told that a batch is in the file.
func (m *Journal) written(b *Changes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	for _, e := range b.Entries {
		e.written = true
		if e.refs > 0 {
			ch.live--
			ch.liveBytes -= e.size()
		} else {
			ch.gone = append(ch.gone, e.Seq)
			signal(ch.wake)
		}
	}
	for ch.unwritten.Len() > 0 && ch.unwritten.At(0).Seq <= b.Header.Head {
		ch.unwritten.PopFront()
	}
}

// notWritten is told that a batch may not be in the file, nor in part: its
// changes are for the next one.
func (m *Journal) notWritten(b *Changes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	ch.gone = append(b.Gone, ch.gone...)
	ch.forgotten = append(b.Forgotten, ch.forgotten...)
	for _, change := range b.Cursors {
		c := m.cursors[change.Name]
		if c == nil {
			continue // forgotten meanwhile
		}
		c.dirty = true
		c.moved = c.moved || change.Moved
		for _, bc := range change.Buried {
			c.touchBuried(bc.Seq)
		}
	}
}
