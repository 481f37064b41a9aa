package journal

import (
	"cmp"
	"slices"

	"agentctl/handler"
)

// Record is an event with its place in a Journal.
type Record struct {
	Seq   uint64
	Event handler.Event
}

// recordSize is about what a Record costs beside its payload.
const recordSize = 200

func (r *Record) size() int { return len(r.Event.Payload) + len(r.Event.Name) + recordSize }

// Entry is an event in a journal. Its Record never changes; the rest is
// guarded by the journal's lock.
type Entry struct {
	Record
	refs    int  // the log and the cursors that hold it
	written bool // it is in the file, where there is one
}

// sortEntries puts entries in order, each once.
func sortEntries(all []*Entry) []*Entry {
	bySeq := func(a, b *Entry) int { return cmp.Compare(a.Seq, b.Seq) }
	if !slices.IsSortedFunc(all, bySeq) {
		slices.SortFunc(all, bySeq)
	}
	return slices.Compact(all)
}
