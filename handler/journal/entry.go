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

// sortEntries puts entries in order, each once.
func sortEntries(all []*Entry) []*Entry {
	bySeq := func(a, b *Entry) int { return cmp.Compare(a.Seq, b.Seq) }
	if !slices.IsSortedFunc(all, bySeq) {
		slices.SortFunc(all, bySeq)
	}
	return slices.Compact(all)
}
