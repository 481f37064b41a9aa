package handler

import (
	"cmp"
	"slices"
	"time"
)

// journalState is what a journal's file holds, and what [Restore] goes on from. The
// zero value is that of an empty journal, but for its header.
type journalState struct {
	header  header
	entries []*entry // in order
	targets map[string]*targetState
}

// header is the journal's own state.
type header struct {
	head  uint64 // the newest sequence number that was ever given
	first uint64 // of the retained events; head+1 when there is none
	ltime uint64 // the highest Lamport time of a user event
}

// targetState is a cursor as it is written, with what is written beside it.
type targetState struct {
	cursor *cursorState // nil: the file has none
	extras []uint64
	buried map[uint64]BuriedInfo
}

// cursorState is a cursor as it is written; queue tells what it means.
type cursorState struct {
	place    uint64
	since    uint64
	eras     []era
	collapse uint64 // the below of its collapse
	lost     uint64
	expired  uint64
	gap      Gap // its Mark is of the process
	holes    spans
	lostIn   spans
	refused  spans
	last     uint64 // the event that it keeps, or 0
}

func (s *cursorState) filters() Filters { return s.eras[len(s.eras)-1].filters }

// pending tells whether an event waits for the cursor. The extras are those
// written beside the state.
func (s *cursorState) pending(e *entry, extras []uint64) bool {
	if e.Seq < s.place {
		return false
	}
	if _, extra := slices.BinarySearch(extras, e.Seq); !extra &&
		(e.Seq < s.since || !s.filters().Match(e.Event.Type, e.Event.Name)) {
		return false
	}
	return !s.holes.has(e.Seq)
}

// add takes an event of the file in. Events come in order.
func (s *journalState) add(r Record) { s.entries = append(s.entries, &entry{Record: r, written: true}) }

// target gives the state of a target, which may be new.
func (s *journalState) target(name string) *targetState {
	t := s.targets[name]
	if t == nil {
		if s.targets == nil {
			s.targets = make(map[string]*targetState)
		}
		t = &targetState{buried: make(map[uint64]BuriedInfo)}
		s.targets[name] = t
	}
	return t
}

// waiting gives what waits for a target.
func (s *journalState) waiting(t *targetState) (out []*entry) {
	for _, e := range s.entries {
		if t.cursor.pending(e, t.extras) {
			out = append(out, e)
		}
	}
	return out
}

// restore makes the memory of a state that is whole.
func (m *Memory) restore(s *journalState) {
	m.head = s.header.head
	m.maxLTime = s.header.ltime
	if s.header.first > 1 { // of which type that was, and when, is not known
		m.ltimes.trimmed, m.trimTime = s.header.first-1, time.Now()
	}
	bySeq := make(map[uint64]*entry, len(s.entries))
	for _, e := range s.entries {
		bySeq[e.Seq] = e
		if e.Seq >= s.header.first {
			m.retain(e)
		} else {
			m.index(e)
		}
	}
	for name, t := range s.targets {
		m.restoreCursor(name, t, bySeq, s.waiting(t))
	}
	for _, e := range s.entries {
		if e.refs == 0 { // nobody needs it: a crash came before it was deleted
			delete(m.byID, e.Event.ID)
			m.changes.gone = append(m.changes.gone, e.Seq)
		}
	}
	m.trim(time.Now())
	m.changes.wakeWriter()
}

func (m *Memory) restoreCursor(name string, t *targetState, bySeq map[uint64]*entry, waiting []*entry) {
	c := newMemoryCursor(m)
	c.closed = true
	close(c.done)
	s := t.cursor
	c.queue = queue{
		eras: s.eras, lost: s.lost, expired: s.expired, collapse: collapse{below: s.collapse}, gap: s.gap,
		since: s.since, extras: t.extras, holes: s.holes,
		lostIn: s.lostIn, refused: s.refused,
	}
	if c.gap.Open() {
		c.gap.Mark = 1 // it is one to Mend
	}
	if e := bySeq[s.last]; e != nil {
		c.keep = true
		c.remember(e)
	}
	m.cursors[name] = c
	for seq, why := range t.buried {
		e := bySeq[seq]
		if e == nil {
			c.touchBuried(seq) // its event is gone: so shall it be
			continue
		}
		e.refs++
		c.buried = append(c.buried, &burial{e, why})
	}
	slices.SortFunc(c.buried, func(a, b *burial) int {
		return cmp.Or(a.why.Time.Compare(b.why.Time), cmp.Compare(a.entry.Seq, b.entry.Seq))
	})
	for _, e := range waiting {
		if _, buried := t.buried[e.Seq]; !buried {
			c.add(e)
		}
	}
	c.collapsed = 0 // they were counted when they came first
	c.dirty = c.lost != s.lost || len(c.buriedDirty) > 0
}
