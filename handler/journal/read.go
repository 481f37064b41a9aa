package journal

import (
	"iter"
	"time"

	"agentctl/handler"
)

// firstRetained is where the log begins, or will.
func (m *Journal) firstRetained() uint64 { return m.head + 1 - uint64(m.log.Len()) }

// retained gives an event of the log, whose sequence numbers have no holes.
func (m *Journal) retained(seq uint64) *Entry {
	if i := seq - m.firstRetained(); i < uint64(m.log.Len()) { // a seq before it makes i huge
		return m.log.At(int(i))
	}
	return nil
}

// Find gives the event of this ID, where the journal holds it: because it is
// retained, or a target still needs it. Nothing has the empty ID.
func (m *Journal) Find(id string) (Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byID[id]
	if e == nil {
		return Record{}, false
	}
	return e.Record, true
}

// At gives the event of this sequence number, where the journal holds it.
func (m *Journal) At(seq uint64) (Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.retained(seq)
	for _, c := range m.cursors {
		if e == nil {
			e = c.keeps(seq)
		}
	}
	if e == nil {
		return Record{}, false
	}
	return e.Record, true
}

// keeps gives an event that waits, is buried, or is the last, or nil.
func (c *Cursor) keeps(seq uint64) *Entry {
	if e := c.holds(seq); e != nil {
		return e
	}
	if b := c.burial(seq); b != nil {
		return b.entry
	}
	if seq == c.last.seq() {
		return c.last.entry
	}
	return nil
}

// Head is the sequence number of the newest event, 0 before the first.
func (m *Journal) Head() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head
}

// eventsStep is how many events Events looks up at a time: it keeps the lock
// for some microseconds, and 2 KB.
const eventsStep = 256

// Events yields what the log retains from a sequence number on, oldest first, as
// far as the log goes when it begins. It holds no lock while the caller works.
func (m *Journal) Events(from uint64) iter.Seq2[Record, error] { return m.read(from, false) }

// Held is Events with, before those, what the log has let go of and still waits
// for a target or is buried, oldest first. What is let go of meanwhile may be
// missing.
func (m *Journal) Held(from uint64) iter.Seq2[Record, error] { return m.read(from, true) }

func (m *Journal) read(from uint64, held bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		last := m.Head()
		for step := make([]*Entry, 0, eventsStep); ; {
			var err error
			if step, err = m.step(from, last, held, step[:0]); err != nil {
				yield(Record{}, err)
				return
			}
			for _, e := range step {
				if !yield(e.Record, nil) {
					return
				}
			}
			if len(step) == 0 {
				return
			}
			from = step[len(step)-1].Seq + 1
		}
	}
}

// step fills a slice with what is retained from a sequence number to another,
// and with held what the log has let go of.
func (m *Journal) step(from, last uint64, held bool, into []*Entry) ([]*Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	m.trim(time.Now())
	if held && from < m.firstRetained() {
		into = m.older(from, into)
	}
	for seq := max(from, m.firstRetained()); seq <= last && len(into) < cap(into); seq++ {
		into = append(into, m.retained(seq))
	}
	return into, nil
}

// older fills a slice with what the log has let go of and cursors hold, from a
// sequence number on.
func (m *Journal) older(from uint64, into []*Entry) []*Entry {
	var all []*Entry
	first := m.firstRetained()
	for _, c := range m.cursors {
		// More than the slice takes of one cursor has no place in it.
		add := func(n, start int, at func(int) *Entry) {
			for i := start; i < n && i < start+cap(into) && at(i).Seq < first; i++ {
				all = append(all, at(i))
			}
		}
		add(len(c.given), c.givenAt(from), func(i int) *Entry { return c.given[i] })
		add(c.waiting.Len(), c.waitingAt(from), c.waiting.At)
		for _, b := range c.buried {
			if seq := b.entry.Seq; from <= seq && seq < first {
				all = append(all, b.entry)
			}
		}
	}
	all = sortEntries(all)
	return append(into, all[:min(len(all), cap(into))]...)
}

// ByLTime yields the retained user events or queries whose Lamport time is within
// from and to, both included, in the order of the log: that is not the order of
// Lamport times.
func (m *Journal) ByLTime(typ handler.Type, from, to uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for rec, err := range m.Events(0) {
			e := &rec.Event
			if (err != nil || e.Type == typ && from <= e.LTime && e.LTime <= to) && !yield(rec, err) {
				return
			}
		}
	}
}
