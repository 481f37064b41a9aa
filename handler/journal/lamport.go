package journal

import (
	"sort"
	"time"

	"agentctl/handler"
)

// LTimeRange picks user events of the history by Lamport time.
type LTimeRange struct {
	From, To uint64   // Lamport times, both included
	Above    uint64   // only events with sequence numbers above this
	After    LTimePos // only events behind this in the order of LTimePage
}

// LTimePos is a position in the order of Lamport times: that of an event that is or
// was in the history. Events of one Lamport time are in the order of the log. The
// zero value is before all events.
type LTimePos struct{ LTime, Seq uint64 }

// Extent tells what a journal's history spans.
type Extent struct {
	Head   uint64 // the newest sequence number, 0 before the first
	Newest uint64 // the highest Lamport time that a user event ever had
	// Trimmed is the sequence number of the newest user event that the
	// retention has let go of, 0 for none. For an earlier process it is the
	// newest sequence number of any event that it let go of.
	Trimmed uint64
	// Floor is above the Lamport times of all user events that the retention
	// has let go of in this process.
	Floor uint64
}

// minHad is how many trimmed events Had remembers at least, in a journal with a small
// MaxEvents.
const minHad = 1 << 14

// Extent tells what the history spans. The only error is ErrClosed, as for Digests and
// LTimePage.
func (j *Journal) Extent() (Extent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return Extent{}, ErrClosed
	}
	j.trim(time.Now())
	return Extent{j.log.head, j.maxLTime, j.ltimes.trimmed, j.ltimes.floor}, nil
}

// Digests sums up the history's user events in each of some ranges of Lamport times,
// with both ends. A range takes some microseconds, however many events there are.
func (j *Journal) Digests(ranges ...[2]uint64) ([]Digest, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	digests := make([]Digest, len(ranges))
	for i, r := range ranges {
		digests[i] = j.ltimes.digest(r[0], r[1], j.log.id)
	}
	return digests, nil
}

// LTimePage returns at most limit of the user events that a range picks, in the order
// of Lamport times. Events of one Lamport time are in the order of the log.
func (j *Journal) LTimePage(r LTimeRange, limit int) ([]Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	var page []Record
	j.ltimes.walk(&r, func(seq uint64) bool {
		if len(page) == limit {
			return false
		}
		page = append(page, j.log.at(seq).Record)
		return true
	})
	return page, nil
}

// Had tells whether the journal holds the event of an ID, or is known to have held it.
// It remembers the newest user events that the retention let go of in this process:
// as many as MaxEvents, and at least 16,384.
func (j *Journal) Had(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.has(id) || j.ltimes.removed(id)
}

// Forgot tells whether the journal had user events of a Lamport time, or later ones,
// and does not remember them: Had may be wrong about an event of that time. What an
// earlier process let go of is forgotten.
func (j *Journal) Forgot(ltime uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return ltime < j.ltimes.forgotten
}

// HeadAt returns a sequence number that the log had reached at a time of this node's
// clock: the events up to it were known before. It goes by Event.Time, and is exact
// if later events have later times. It is 0 if the history does not reach back so
// far.
func (j *Journal) HeadAt(t time.Time) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := j.firstRetained()
	n := sort.Search(j.log.len(), func(i int) bool { return !j.log.key(first + uint64(i)).Time.Before(t) })
	if n == 0 && !j.trimTime.Before(t) {
		return 0
	}
	return first + uint64(n) - 1
}

// indexed tells whether the index has an entry. Earlier versions of this program took
// events with Lamport times that cannot be. Those are in the log like others, and nobody
// is told of their times.
func indexed(e *Entry) bool { return e.Event.Type == handler.User && e.Event.LTime <= handler.EndLTime }

// indexLTime is called for an entry that the log gets.
func (j *Journal) indexLTime(e *Entry) {
	if indexed(e) {
		j.ltimes.add(e, j.log.id)
	}
}

// unindexLTime is called for an entry of any type that the log lets go of.
func (j *Journal) unindexLTime(e *Entry) {
	if e.Event.Time.After(j.trimTime) {
		j.trimTime = e.Event.Time
	}
	if indexed(e) {
		j.ltimes.remove(e, max(minHad, j.cfg.MaxEvents))
	}
}
