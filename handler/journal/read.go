package journal

import (
	"iter"
	"time"
)

// firstRetained is the first sequence number of the log; of an empty log the next one
// to come.
func (j *Journal) firstRetained() uint64 { return j.log.first() }

// retained returns an entry of the log, or nil. See history for how to hold it.
func (j *Journal) retained(seq uint64) *Entry { return j.log.at(seq) }

// has tells whether the journal holds the event of an ID.
func (j *Journal) has(id string) bool { return j.log.byID(id) > 0 || j.strays[id] != nil }

// Find returns the event of an ID, if the journal holds it: in the history, or for a
// target. No event has the empty ID.
func (j *Journal) Find(id string) (Record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.strays[id]
	if seq := j.log.byID(id); seq > 0 {
		e = j.log.at(seq)
	}
	if e == nil {
		return Record{}, false
	}
	return e.Record, true
}

// At returns the event of a sequence number, if the journal holds it: in the history,
// or for a target.
func (j *Journal) At(seq uint64) (Record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.retained(seq)
	for _, c := range j.cursors {
		if e == nil {
			e = c.keeps(seq)
		}
	}
	if e == nil {
		return Record{}, false
	}
	return e.Record, true
}

// keeps returns the entry of an event that is pending, buried, or the last; else nil.
func (c *Cursor) keeps(seq uint64) *Entry {
	if e := c.holds(seq); e != nil {
		return e
	}
	if b := c.findBuried(seq); b != nil {
		return b.entry
	}
	if seq == c.last.seq() {
		return c.last.entry
	}
	return nil
}

// Head returns the sequence number of the newest event, or 0 before the first.
func (j *Journal) Head() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.head
}

// readStep is how many events Events looks up at a time. It holds the lock for some
// ten microseconds then.
const readStep = 64

// Events yields the events of the history from a sequence number on, oldest first,
// up to the newest at the time of the call. Events that leave the history meanwhile
// may be missing. It holds no lock while the caller works. The only error is
// ErrClosed, and ends it.
func (j *Journal) Events(from uint64) iter.Seq2[Record, error] { return j.read(from, false) }

// Held is Events together with the older events that the history has let go of and
// that are pending or buried for a target. All come oldest first.
func (j *Journal) Held(from uint64) iter.Seq2[Record, error] { return j.read(from, true) }

func (j *Journal) read(from uint64, held bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		last := j.Head()
		for step := make([]*Entry, 0, readStep); ; {
			var err error
			if step, err = j.step(from, last, held, step[:0]); err != nil {
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

// step fills a slice with entries from a sequence number to another: those of the
// log, and with held also older ones.
func (j *Journal) step(from, last uint64, held bool, into []*Entry) ([]*Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	j.trim(time.Now())
	if held && from < j.firstRetained() {
		into = j.older(from, into)
	}
	for seq := max(from, j.firstRetained()); seq <= last && len(into) < cap(into); seq++ {
		into = append(into, j.retained(seq))
	}
	return into, nil
}

// older fills a slice with entries from a sequence number on that the log has let go
// of and cursors hold.
func (j *Journal) older(from uint64, into []*Entry) []*Entry {
	var all []*Entry
	first := j.firstRetained()
	for _, c := range j.cursors {
		// The slice takes no more entries of one cursor than it has room for.
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
