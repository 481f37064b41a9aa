package journal

import (
	"slices"
	"testing"
	"time"

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

// An equal hash proves nothing: the bytes are compared.
func TestCollapseComparesTheBytes(t *testing.T) {
	j := New(Config{})
	c, err := j.Cursor("a", CursorConfig{Collapse: true})
	if err != nil {
		t.Fatal(err)
	}
	one, other := handler.NewUser(1, "kong", []byte("key 1"), time.Now()), handler.NewUser(2, "kong", []byte("key 2"), time.Now())
	if err := j.Append(one); err != nil {
		t.Fatal(err)
	}
	c.leaders[leadersKey(&other)] = c.waiting.At(0)
	if err := j.Append(other); err != nil {
		t.Fatal(err)
	}
	if n := c.waiting.Len(); n != 2 {
		t.Errorf("%d wait by themselves, want 2", n)
	}
}

// Records go with the history, and filters that refuse all cost none.
func TestOutcomesAreTrimmed(t *testing.T) {
	j := New(Config{MaxEvents: 10})
	c, err := j.Cursor("a", CursorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Cursor("b", CursorConfig{Filters: handler.Filters{{Type: handler.User, Name: "other"}}}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(1000) {
		if err := j.Append(handler.NewUser(i, "", nil, time.Now())); err != nil {
			t.Fatal(err)
		}
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ack(rec.Seq, 200); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := j.cursors["a"].outcomes.records.Len(), j.cursors["b"].outcomes.records.Len(); a != 10 || b != 0 {
		t.Errorf("%d and %d records, want 10 and none", a, b)
	}
	if o := j.Outcome("a", 990); o != (Outcome{}) {
		t.Errorf("what was let go of: %+v", o)
	}
	if o := j.Outcome("a", 991); o.State != OutcomeDelivered {
		t.Errorf("what is retained: %+v", o)
	}
}
