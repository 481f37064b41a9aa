package journal

import (
	"iter"

	"agentctl/handler"
)

// Changes is what goes into one commit.
type Changes struct {
	Generation uint64
	Header     Header
	Entries    []*Entry
	Deleted    []uint64
	Forgotten  []string
	Cursors    []CursorChange
}

// Empty tells that there is nothing to write. The header alone does not count:
// what it says changes with events that come or go.
func (changes *Changes) Empty() bool {
	return len(changes.Entries) == 0 && len(changes.Deleted) == 0 && len(changes.Forgotten) == 0 && len(changes.Cursors) == 0
}

// commitEvents is how many events one transaction takes. After an outage of
// the disk there may be a hundred thousand.
const commitEvents = 5000

// Parts cuts a batch into what one transaction takes. Cursors may stand behind
// the last event, so they come with the last part; before it the header says
// no more than the events that are there.
func (changes *Changes) Parts() iter.Seq[*Changes] {
	return func(yield func(*Changes) bool) {
		last := *changes
		for len(last.Entries) > commitEvents {
			part := &Changes{Header: changes.Header, Entries: last.Entries[:commitEvents]}
			part.Header.Head = part.Entries[commitEvents-1].Seq
			part.Header.First = min(part.Header.First, part.Header.Head+1)
			part.Header.LTime = 0 // put keeps the file's, if that is higher
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

// CursorChange is a cursor's state at the time of a batch.
type CursorChange struct {
	Target                   string
	State                    CursorState
	PendingExceptionsChanged bool // extras are to be written
	PendingExceptions        []uint64
	Buried                   map[uint64]*Burial
}
