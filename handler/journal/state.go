package journal

import (
	"cmp"
	"slices"
	"time"

	"agentctl/handler"
)

// State is the content of a journal's file. [Restore] makes a journal of it. The zero
// value is an empty journal, less its header.
type State struct {
	Header  Header
	Entries []*Entry // in order, with events that only a cursor or a burial holds
	Targets map[string]*TargetState
}

// Header is the state of a journal as a whole.
type Header struct {
	Head  uint64 // the newest sequence number that an event ever had
	First uint64 // the first event of the history; Head+1 if there is none
	LTime uint64 // the highest Lamport time of a user event
}

// TargetState is the state of a target: its cursor, and what a file holds beside it.
type TargetState struct {
	Cursor            *CursorState // nil: it was not in the file
	PendingExceptions []uint64     // in order
	Buried            map[uint64]Burial
}

// CursorState is a cursor as a file holds it. An event is pending if it is a pending
// exception, or if it is not below Since and passes the last epoch's filters. It is
// settled nevertheless if it is below Position or a settled exception.
type CursorState struct {
	Position          uint64        // the first sequence number that is not settled
	Since             uint64        // from this event on, the filters tell which are pending
	Epochs            []FilterEpoch // in order, at least one
	CollapseBelow     uint64        // events below this number collapse
	Lost              uint64        // events, since the target was first known
	Expired           uint64        // of those, the ones that waited longer than MaxAge
	Gap               Gap           // its Watermark is not written
	SettledExceptions []Span        // in order; no two touch
	LostSpans         []Span        // of lost events in the history, likewise
	RefusedSpans      []Span        // of buried events in the history, likewise
	LastEvent         uint64        // the event of RequeueLast that the cursor keeps, or 0
}

// Filters returns the filters that the cursor has now.
func (s *CursorState) Filters() handler.Filters { return s.Epochs[len(s.Epochs)-1].Filters }

// pending tells whether an event is pending. The exceptions are those that were
// written beside the state.
func (s *CursorState) pending(e *Entry, exceptions []uint64) bool {
	if e.Seq < s.Position {
		return false
	}
	if _, exception := slices.BinarySearch(exceptions, e.Seq); !exception &&
		(e.Seq < s.Since || !s.Filters().Match(e.Event.Type, e.Event.Name)) {
		return false
	}
	return !spans(s.SettledExceptions).has(e.Seq)
}

// Add adds an event that was read from the file. Events come in order.
func (s *State) Add(r Record) { s.Entries = append(s.Entries, &Entry{Record: r, written: true}) }

// Target returns the state of a target, and makes one if there is none.
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

// Waiting returns the pending events of a target. The target has a cursor.
func (s *State) Waiting(t *TargetState) (out []*Entry) {
	for _, e := range s.Entries {
		if t.Cursor.pending(e, t.PendingExceptions) {
			out = append(out, e)
		}
	}
	return out
}

// oldestLTime is that of the oldest user event of the history, or the highest one
// ever if there is none.
func (s *State) oldestLTime() uint64 {
	for _, e := range s.Entries {
		if e.Seq >= s.Header.First && indexed(e) {
			return e.Event.LTime
		}
	}
	return s.Header.LTime
}

// newestLTime is the highest Lamport time ever. If that cannot be, see indexed, it is the
// highest one in the history.
func (s *State) newestLTime() uint64 {
	if s.Header.LTime <= handler.EndLTime {
		return s.Header.LTime
	}
	newest := uint64(0)
	for _, e := range s.Entries {
		if indexed(e) {
			newest = max(newest, e.Event.LTime)
		}
	}
	return newest
}

// entry returns the event of a sequence number, or nil.
func (s *State) entry(seq uint64) *Entry {
	i, ok := slices.BinarySearchFunc(s.Entries, seq, func(e *Entry, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	if !ok {
		return nil
	}
	return s.Entries[i]
}

// restore fills the memory of a new journal.
func (j *Journal) restore(s *State) {
	j.log.head = s.Header.Head
	s.Header.LTime = s.newestLTime()
	j.maxLTime = s.Header.LTime
	if s.Header.First > 1 { // the type and time of the event before it are not known
		j.ltimes.trimmed, j.trimTime = s.Header.First-1, time.Now()
		j.ltimes.forgotten = s.oldestLTime() + 1
	}
	for _, e := range s.Entries {
		if e.Seq >= s.Header.First {
			j.retain(e)
		} else {
			j.stray(e)
		}
	}
	for name, t := range s.Targets {
		j.restoreCursor(name, t, s)
	}
	for _, e := range s.Entries {
		if e.refs == 0 { // a crash came before it was deleted
			delete(j.strays, e.Event.ID)
			j.changes.deleted = append(j.changes.deleted, e.Seq)
		}
	}
	j.trim(time.Now())
	j.changes.wakeWriter()
}

func (j *Journal) restoreCursor(name string, t *TargetState, state *State) {
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
		c.gap.Watermark = 1 // the whole gap is one loss to Mend
	}
	if e := state.entry(s.LastEvent); e != nil {
		c.keep = true
		c.remember(e)
	}
	j.cursors[name] = c
	for seq, why := range t.Buried {
		e := state.entry(seq)
		if e == nil {
			c.touchBuried(seq) // delete it, because its event is gone
			continue
		}
		j.hold(e)
		c.buried = append(c.buried, &buriedEntry{entry: e, why: why})
	}
	slices.SortFunc(c.buried, func(a, b *buriedEntry) int {
		return cmp.Or(a.why.Time.Compare(b.why.Time), cmp.Compare(a.entry.Seq, b.entry.Seq))
	})
	for _, e := range state.Waiting(t) {
		if _, buried := t.Buried[e.Seq]; !buried {
			c.add(e)
		}
	}
	c.restoreLast()
	c.collapsed = 0 // an earlier process counted these
	c.dirty = c.lost != s.Lost || len(c.buriedDirty) > 0
}
