package handler

import (
	"iter"
	"slices"

	fifo "agentctl/handler/queue"
)

// changes is what a journal's file lacks of what its memory holds. It is
// guarded by the journal's lock. A nil *changes is that of a journal without a
// file, and notes nothing.
//
// It cannot outgrow the journal's limits, however long the disk is stuck: an
// entry that nobody holds any more need not be written, and a cursor is one
// state, however often it changed.
type changes struct {
	unwritten fifo.Ring[*entry] // appended and not written; dead ones among them
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

func (ch *changes) appended(e *entry) {
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

func (ch *changes) over() bool { return ch.live > ch.maxLive || ch.liveBytes > ch.maxLiveBytes }

// freed is told of an entry that nobody holds any more.
func (ch *changes) freed(e *entry) {
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

func (ch *changes) forget(target string) {
	if ch != nil {
		ch.forgotten = append(ch.forgotten, target)
	}
}

// wakeWriter ends each call that changed something.
func (ch *changes) wakeWriter() {
	if ch == nil {
		return
	}
	ch.gen++
	signal(ch.wake)
}

// batch is what goes into one commit.
type batch struct {
	gen       uint64
	header    header
	entries   []*entry
	gone      []uint64
	forgotten []string
	cursors   []cursorChange
}

// empty tells that there is nothing to write. The header alone does not count:
// what it says changes with events that come or go.
func (b *batch) empty() bool {
	return len(b.entries) == 0 && len(b.gone) == 0 && len(b.forgotten) == 0 && len(b.cursors) == 0
}

// commitEvents is how many events one transaction takes. After an outage of
// the disk there may be a hundred thousand.
const commitEvents = 5000

// parts cuts a batch into what one transaction takes. Cursors may stand behind
// the last event, so they come with the last part; before it the header says
// no more than the events that are there.
func (b *batch) parts() iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		last := *b
		for len(last.entries) > commitEvents {
			part := &batch{header: b.header, entries: last.entries[:commitEvents]}
			part.header.head = part.entries[commitEvents-1].Seq
			part.header.first = min(part.header.first, part.header.head+1)
			part.header.ltime = 0 // put keeps the file's, if that is higher
			for _, e := range part.entries {
				if e.Event.Type == User {
					part.header.ltime = max(part.header.ltime, e.Event.LTime)
				}
			}
			if !yield(part) {
				return
			}
			last.entries = last.entries[commitEvents:]
		}
		yield(&last)
	}
}

// cursorChange is a cursor's state at the time of a batch.
type cursorChange struct {
	name   string
	state  cursorState
	moved  bool // extras are to be written
	extras []uint64
	buried []burialChange
}

type burialChange struct {
	seq uint64
	why *BuriedInfo // nil: it is not buried any more
}

// gather takes what has changed since the last batch.
func (m *Memory) gather() *batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	b := &batch{gen: ch.gen, header: header{head: m.head, first: m.firstRetained(), ltime: m.maxLTime}}
	for i := range ch.unwritten.Len() {
		if e := ch.unwritten.At(i); e.refs > 0 {
			b.entries = append(b.entries, e)
		}
	}
	b.gone, ch.gone = ch.gone, nil
	b.forgotten, ch.forgotten = ch.forgotten, nil
	for name, c := range m.cursors {
		if c.dirty {
			b.cursors = append(b.cursors, c.gather(name))
		}
	}
	return b
}

// gather takes the state of a dirty cursor.
func (c *memoryCursor) gather(name string) cursorChange {
	c.prune()
	change := cursorChange{
		name: name,
		state: cursorState{
			place:    c.place(),
			since:    c.since,
			eras:     slices.Clone(c.eras),
			collapse: c.below,
			lost:     c.lost,
			expired:  c.expired,
			gap:      c.gap,
			holes:    slices.Clone(c.holes[:min(len(c.holes), maxHoles)]),
			lostIn:   slices.Clone(c.lostIn),
			refused:  slices.Clone(c.refused),
			last:     c.last.seq(),
		},
		moved: c.moved,
	}
	if c.moved {
		change.extras = c.extras // replaced, never changed in place
	}
	for seq := range c.buriedDirty {
		bc := burialChange{seq: seq}
		for _, b := range c.buried {
			if b.entry.Seq == seq {
				bc.why = &b.why
			}
		}
		change.buried = append(change.buried, bc)
	}
	c.dirty, c.moved, c.buriedDirty = false, false, nil
	return change
}

// written is told that a batch is in the file.
func (m *Memory) written(b *batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	for _, e := range b.entries {
		e.written = true
		if e.refs > 0 {
			ch.live--
			ch.liveBytes -= e.size()
		} else {
			ch.gone = append(ch.gone, e.Seq)
			signal(ch.wake)
		}
	}
	for ch.unwritten.Len() > 0 && ch.unwritten.At(0).Seq <= b.header.head {
		ch.unwritten.PopFront()
	}
}

// notWritten is told that a batch may not be in the file, nor in part: its
// changes are for the next one.
func (m *Memory) notWritten(b *batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	ch.gone = append(b.gone, ch.gone...)
	ch.forgotten = append(b.forgotten, ch.forgotten...)
	for _, change := range b.cursors {
		c := m.cursors[change.name]
		if c == nil {
			continue // forgotten meanwhile
		}
		c.dirty = true
		c.moved = c.moved || change.moved
		for _, bc := range change.buried {
			c.touchBuried(bc.seq)
		}
	}
}
