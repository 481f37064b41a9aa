package journal

import (
	"cmp"
	"slices"

	"agentctl/handler"
)

// Record is an event with its sequence number, which tells its order in a journal.
type Record struct {
	Seq   uint64
	Event handler.Event
}

// recordSize is about what a Record costs beside its name and payload, in bytes.
const recordSize = 200

func (r *Record) size() int { return len(r.Event.Payload) + len(r.Event.Name) + recordSize }

// Entry is an event in a journal's memory, shared by the log and all cursors. Its
// Record never changes; the rest is guarded by the journal's lock.
type Entry struct {
	Record
	refs    int  // how many of the log, the cursors and the burials hold it
	written bool // it is in the file, if there is one
}

// maxPacked is the size from which on a packed event keeps its entry. To copy it would
// hold up everybody who waits for the lock.
const maxPacked = 4 << 10

// needed tells whether the entry of an event in the log is more than what a chunk has.
func (e *Entry) needed() bool { return e.refs > 1 || !e.written || e.size() > maxPacked }

// sortEntries puts entries in order, each once.
func sortEntries(all []*Entry) []*Entry {
	bySeq := func(a, b *Entry) int { return cmp.Compare(a.Seq, b.Seq) }
	if !slices.IsSortedFunc(all, bySeq) {
		slices.SortFunc(all, bySeq)
	}
	return slices.CompactFunc(all, func(a, b *Entry) bool { return a.Seq == b.Seq })
}
