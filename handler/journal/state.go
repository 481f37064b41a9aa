package journal

import (
	"cmp"
	"slices"
	"time"

	"agentctl/handler"
)

// State is what a journal's file holds, and what [Restore] goes on from. The
// zero value is that of an empty journal, but for its header.
type State struct {
	Header  Header
	Entries []*Entry // in order
	Targets map[string]*TargetState
}

// Header is the journal's own state.
type Header struct {
	Head  uint64 // the newest sequence number that was ever given
	First uint64 // of the retained events; head+1 when there is none
	LTime uint64 // the highest Lamport time of a user event
}

// TargetState is a cursor as it is written, with what is written beside it.
type TargetState struct {
	Cursor            *CursorState // nil: the file has none
	PendingExceptions []uint64
	Buried            map[uint64]Burial
}

// CursorState is a cursor as it is written; queue tells what it means.
type CursorState struct {
	Position          uint64
	Since             uint64
	Epochs            []FilterEpoch
	CollapseBelow     uint64 // the below of its collapse
	Lost              uint64
	Expired           uint64
	Gap               Gap // its Watermark is of the process
	SettledExceptions []Span
	LostSpans         []Span
	RefusedSpans      []Span
	LastEvent         uint64 // the event that it keeps, or 0
}

func (s *CursorState) Filters() handler.Filters { return s.Epochs[len(s.Epochs)-1].Filters }

// pending tells whether an event waits for the cursor. The extras are those
// written beside the state.
func (s *CursorState) pending(e *Entry, extras []uint64) bool {
	if e.Seq < s.Position {
		return false
	}
	if _, extra := slices.BinarySearch(extras, e.Seq); !extra &&
		(e.Seq < s.Since || !s.Filters().Match(e.Event.Type, e.Event.Name)) {
		return false
	}
	return !spans(s.SettledExceptions).has(e.Seq)
}

// Add takes an event of the file in. Events come in order.
func (s *State) Add(r Record) { s.Entries = append(s.Entries, &Entry{Record: r, written: true}) }

// Target gives the state of a target, which may be new.
func (s *State) Target(name string) *TargetState {
	t := s.Targets[name]
	if t == nil {
		if s.Targets == nil {
			s.Targets = make(map[string]*TargetState)
		}
		t = &TargetState{Buried: make(map[uint64]Burial)}
		s.Targets[name] = t
	}
	return t
}

// Waiting gives what waits for a target.
func (s *State) Waiting(t *TargetState) (out []*Entry) {
	for _, e := range s.Entries {
		if t.Cursor.pending(e, t.PendingExceptions) {
			out = append(out, e)
		}
	}
	return out
}

// restore makes the memory of a state that is whole.
func (j *Journal) restore(s *State) {
	j.head = s.Header.Head
	j.maxLTime = s.Header.LTime
	if s.Header.First > 1 { // of which type that was, and when, is not known
		j.ltimes.trimmed, j.trimTime = s.Header.First-1, time.Now()
	}
	bySeq := make(map[uint64]*Entry, len(s.Entries))
	for _, e := range s.Entries {
		bySeq[e.Seq] = e
		if e.Seq >= s.Header.First {
			j.retain(e)
		} else {
			j.index(e)
		}
	}
	for name, t := range s.Targets {
		j.restoreCursor(name, t, bySeq, s.Waiting(t))
	}
	for _, e := range s.Entries {
		if e.refs == 0 { // nobody needs it: a crash came before it was deleted
			delete(j.byID, e.Event.ID)
			j.changes.gone = append(j.changes.gone, e.Seq)
		}
	}
	j.trim(time.Now())
	j.changes.wakeWriter()
}

func (j *Journal) restoreCursor(name string, t *TargetState, bySeq map[uint64]*Entry, waiting []*Entry) {
	c := newCursor(j)
	c.closed = true
	close(c.done)
	s := t.Cursor
	c.queue = queue{
		epochs: s.Epochs, lost: s.Lost, expired: s.Expired, collapse: collapse{below: s.CollapseBelow}, gap: s.Gap,
		since: s.Since, pendingExceptions: t.PendingExceptions, settledExceptions: s.SettledExceptions,
		lostSpans: s.LostSpans, refusedSpans: s.RefusedSpans,
	}
	if c.gap.Open() {
		c.gap.Watermark = 1 // it is one to Mend
	}
	if e := bySeq[s.LastEvent]; e != nil {
		c.keep = true
		c.remember(e)
	}
	j.cursors[name] = c
	for seq, why := range t.Buried {
		e := bySeq[seq]
		if e == nil {
			c.touchBuried(seq) // its event is gone: so shall it be
			continue
		}
		e.refs++
		c.buried = append(c.buried, &buriedEntry{e, why})
	}
	slices.SortFunc(c.buried, func(a, b *buriedEntry) int {
		return cmp.Or(a.why.Time.Compare(b.why.Time), cmp.Compare(a.entry.Seq, b.entry.Seq))
	})
	for _, e := range waiting {
		if _, buried := t.Buried[e.Seq]; !buried {
			c.add(e)
		}
	}
	c.collapsed = 0 // they were counted when they came first
	c.dirty = c.lost != s.Lost || len(c.buriedDirty) > 0
}
