package journal

import (
	"sort"
	"time"

	"agentctl/handler"
)

// LTimeRange picks user events of the log by Lamport time.
type LTimeRange struct {
	From, To uint64   // Lamport times, both included
	Above    uint64   // only sequence numbers above this
	After    LTimePos // only what is behind this in the order of LTimePage
}

// LTimePos is a place in the order of Lamport times: that of an event there
// was. Events of one Lamport time are in the order of the log. The zero value
// is before all.
type LTimePos struct{ LTime, Seq uint64 }

// Extent is what a journal's log spans.
type Extent struct {
	Head   uint64 // the newest sequence number, 0 before the first
	Newest uint64 // the highest Lamport time that a user event had
	// Trimmed is the sequence number of the newest user event that the
	// retention has let go of, 0 for none. Of what an earlier process let go it
	// is the newest sequence number, be that of a user event or not.
	Trimmed uint64
	// Floor is above the Lamport times of all user events that the retention
	// has let go of in this process.
	Floor uint64
}

// minHad is how many IDs of events that were let go are remembered at least,
// in a journal of few events.
const minHad = 1 << 14

// Extent tells what the log spans. It fails only once the journal is closed;
// so do Digests and LTimePage.
func (j *Journal) Extent() (Extent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return Extent{}, ErrClosed
	}
	j.trim(time.Now())
	return Extent{j.head, j.maxLTime, j.ltimes.trimmed, j.ltimes.floor}, nil
}

// Digests sums up the log's user events in each of some ranges of Lamport
// times, first and last, both included. A range takes a microsecond or two,
// however many events there are.
func (j *Journal) Digests(ranges ...[2]uint64) ([]Digest, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	digests := make([]Digest, len(ranges))
	for i, r := range ranges {
		digests[i] = j.ltimes.digest(r[0], r[1])
	}
	return digests, nil
}

// LTimePage gives up to limit of the log's user events that a range picks, by
// Lamport time, and those of one Lamport time in the order of the log.
func (j *Journal) LTimePage(r LTimeRange, limit int) ([]Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	var page []Record
	j.ltimes.walk(&r, func(e *Entry) bool {
		if len(page) == limit {
			return false
		}
		page = append(page, e.Record)
		return true
	})
	return page, nil
}

// Had tells whether the journal holds the event of an ID, or is known to have
// held it: of the user events that the retention let go of in this process the
// newest are remembered, as many as MaxEvents and 16,384 at least.
func (j *Journal) Had(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byID[id] != nil || j.ltimes.removed(id)
}

// HeadAt gives a sequence number that the log had passed at a time by this
// node's clock: the events up to it were known before. It goes by Event.Time,
// and is exact where later events have later times; 0 where the log does not
// reach back so far.
func (j *Journal) HeadAt(t time.Time) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := sort.Search(j.log.Len(), func(i int) bool { return !j.log.At(i).Event.Time.Before(t) })
	if n == 0 && !j.trimTime.Before(t) {
		return 0
	}
	return j.firstRetained() + uint64(n) - 1
}

// indexLTime is told of an entry that the log gets.
func (j *Journal) indexLTime(e *Entry) {
	if e.Event.Type == handler.User {
		j.ltimes.add(e)
	}
}

// unindexLTime is told of an entry that the log lets go of, of whatever type.
func (j *Journal) unindexLTime(e *Entry) {
	if e.Event.Time.After(j.trimTime) {
		j.trimTime = e.Event.Time
	}
	if e.Event.Type == handler.User {
		j.ltimes.remove(e, max(minHad, j.cfg.MaxEvents))
	}
}
