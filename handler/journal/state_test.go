package journal

import (
	"slices"
	"testing"

	"agentctl/handler"
)

// What waits, by the rule that is written: what is at or above the position and
// passes the filters from since on, or is a pending exception, less the settled
// exceptions.
func TestPendingByTheState(t *testing.T) {
	s := CursorState{
		Position: 3, Since: 9, Epochs: []FilterEpoch{{2, nil}, {4, handler.Filters{{Type: handler.User, Name: "a,b"}, {Type: "*"}}}},
		Lost: 1, SettledExceptions: spans{{4, 4}, {7, 9}}, LostSpans: spans{{1, 2}}, RefusedSpans: spans{{7, 7}},
	}
	var pending []uint64
	for seq := range uint64(12) {
		e := &Entry{Record: Record{Seq: seq, Event: handler.Event{Type: handler.User, Name: "a,b"}}}
		if s.pending(e, []uint64{1, 4, 5, 6}) {
			pending = append(pending, seq)
		}
	}
	if want := []uint64{5, 6, 10, 11}; !slices.Equal(pending, want) {
		t.Errorf("pending %v, want %v", pending, want)
	}
}
