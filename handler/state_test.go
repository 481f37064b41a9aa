package handler

import (
	"slices"
	"testing"
)

// What waits, by the rule that is written: what is at or above the position and
// passes the filters from since on, or is a pending exception, less the settled
// exceptions.
func TestPendingByTheState(t *testing.T) {
	s := cursorState{
		place: 3, since: 9, eras: []era{{2, nil}, {4, Filters{{User, "a,b"}, {Type: "*"}}}},
		lost: 1, holes: spans{{4, 4}, {7, 9}}, lostIn: spans{{1, 2}}, refused: spans{{7, 7}},
	}
	var pending []uint64
	for seq := range uint64(12) {
		e := &entry{Record: Record{Seq: seq, Event: Event{Type: User, Name: "a,b"}}}
		if s.pending(e, []uint64{1, 4, 5, 6}) {
			pending = append(pending, seq)
		}
	}
	if want := []uint64{5, 6, 10, 11}; !slices.Equal(pending, want) {
		t.Errorf("pending %v, want %v", pending, want)
	}
}
