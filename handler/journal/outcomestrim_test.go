package journal

import (
	"testing"
	"time"

	"agentctl/handler"
)

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
