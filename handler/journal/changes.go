package journal

import (
	"iter"

	"agentctl/handler"
)

// Changes is the content of one commit: what the file lacks of the journal as it
// was at one moment.
type Changes struct {
	Generation uint64         // of the journal at that moment, see Backlog
	Header     Header         // to be written with each commit
	Entries    []*Entry       // events to be added, in order
	Deleted    []uint64       // events to be deleted, some of which may be gone already
	Forgotten  []string       // targets to be deleted, before Cursors are written
	Cursors    []CursorChange // cursors to be written
}

// Empty tells whether there is nothing to write. The header alone does not count,
// because it changes only with events that come or go.
func (changes *Changes) Empty() bool {
	return len(changes.Entries) == 0 && len(changes.Deleted) == 0 && len(changes.Forgotten) == 0 && len(changes.Cursors) == 0
}

// commitEvents is how many events one transaction takes at most. After an outage of
// the disk there may be a hundred thousand to write.
const commitEvents = 5000

// Parts cuts changes into transactions. Cursors may stand behind the last event, so
// they come with the last part. Until then the header claims no more than the
// events that are written.
func (changes *Changes) Parts() iter.Seq[*Changes] {
	return func(yield func(*Changes) bool) {
		last := *changes
		for len(last.Entries) > commitEvents {
			part := &Changes{Header: changes.Header, Entries: last.Entries[:commitEvents]}
			part.Header.Head = part.Entries[commitEvents-1].Seq
			part.Header.First = min(part.Header.First, part.Header.Head+1)
			part.Header.LTime = 0 // the file keeps its own, if that is higher
			for _, e := range part.Entries {
				if e.Event.Type == handler.User {
					part.Header.LTime = max(part.Header.LTime, e.Event.LTime)
				}
			}
			if !yield(part) {
				return
			}
			last.Entries = last.Entries[commitEvents:]
		}
		yield(&last)
	}
}

// CursorChange is the state of one cursor that changed.
type CursorChange struct {
	Target string
	State  CursorState

	// PendingExceptions are written beside the state, and only if they changed.
	PendingExceptions        []uint64 // in order; not to be changed
	PendingExceptionsChanged bool

	Buried map[uint64]*Burial // the burials that changed, by sequence number; nil: to be deleted
}
