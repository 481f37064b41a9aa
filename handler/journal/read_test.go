package journal_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// Events goes as far as the log did when it began, also for a caller that is
// slower than Append, and through more than one step.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	j := journal.New(journal.Config{})
	defer j.Close()
	const events = 2*256 + 1 // more than two steps of a read
	ltime := uint64(0)
	add := func() {
		ltime++
		if err := j.Append(handler.NewUser(ltime, "n", nil, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	for range events {
		add()
	}
	const from = 3
	next := uint64(from)
	for rec, err := range j.Events(from) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Seq != next || rec.Seq > events {
			t.Fatalf("event %d, want %d of %d", rec.Seq, next, events)
		}
		next++
		add()
	}
	if next != events+1 {
		t.Errorf("the last event was %d, want %d", next-1, events)
	}
}

// Held has what the log has let go of and a target still needs, each once and
// in order, and then the log.
func TestHeld(t *testing.T) {
	t.Parallel()
	const events, retained = 3 * 256, 4 // the first retained one waits, too
	j := journal.New(journal.Config{MaxEvents: retained})
	defer j.Close()
	waits, buries := journals.OpenCursor(t, j, "waits", handler.Filter{Type: handler.User, Name: ""}), journals.OpenCursor(t, j, "buries", handler.Filter{Type: handler.User, Name: ""})
	for seq := range uint64(events) {
		journals.MustAppend(t, j, journals.User(seq+1, ""))
		for _, c := range []*journal.Cursor{waits, buries} {
			if _, err := c.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Every third event waits; two are buried, the newer one first.
	var wanted []uint64
	for seq := uint64(1); seq <= events; seq++ {
		if seq%3 > 0 {
			journals.Ack(t, waits, seq)
		}
		if seq != 4 && seq != 7 {
			journals.Ack(t, buries, seq)
		}
		if seq%3 == 0 || seq == 4 || seq == 7 || seq > events-retained {
			wanted = append(wanted, seq)
		}
	}
	for _, seq := range []uint64{7, 4} {
		if err := buries.Bury(seq, journal.Burial{}); err != nil {
			t.Fatal(err)
		}
	}
	held := func(from uint64) (seqs []uint64) {
		for rec, err := range j.Held(from) {
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, rec.Seq)
		}
		return seqs
	}
	testkit.Want(t, "all", held(0), wanted)
	testkit.Want(t, "from the second on", held(4), wanted[1:])
	testkit.Want(t, "of the log", held(events-1), wanted[len(wanted)-2:])
	for _, seq := range []uint64{0, 1, 3, 4, events - 1, events + 1} {
		rec, ok := j.At(seq)
		testkit.Want(t, "at", ok, slices.Contains(wanted, seq))
		if ok && (rec.Seq != seq || rec.Event.LTime != seq) {
			t.Errorf("at %d: %+v", seq, rec)
		}
	}
}

func TestJournalEvents(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		now := time.Now()
		journals.MustAppend(t, j, journals.User(9, "a"), journals.User(3, "b"), handler.NewQuery(4, "q", nil, now), journals.User(5, "c"), journals.User(3, "d"))
		testkit.Want(t, "in the order of Append", journals.LTimes(t, j.Events(0)), []uint64{9, 3, 4, 5, 3})
		testkit.Want(t, "from the third on", journals.LTimes(t, j.Events(3)), []uint64{4, 5, 3})
		for range j.Events(0) {
			break // must not go on
		}
		j.Close()
		for _, err := range j.Events(0) {
			if !errors.Is(err, journal.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		if err := j.Append(journals.User(1, "a")); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := j.Cursor("a", journal.CursorConfig{}); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
