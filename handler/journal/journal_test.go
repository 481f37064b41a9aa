package journal_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestJournalKeepsItsOwnPayload(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		c := journals.OpenCursor(t, j, "a")
		payload := []byte("abc")
		journals.MustAppend(t, j, handler.NewUser(1, "kong", payload, time.Time{}))
		payload[0] = 'X'
		rec, err := c.Next(t.Context())
		if err != nil || string(rec.Event.Payload) != "abc" {
			t.Errorf("%q, %v", rec.Event.Payload, err)
		}
		if rec.Event.Time.IsZero() {
			t.Error("an event of zero time got none")
		}
	})
}

func TestJournalConcurrently(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		const writers, each = 4, 500
		j := newJournal(journal.Config{})
		cursors := []*journal.Cursor{journals.OpenCursor(t, j, "a"), journals.OpenCursor(t, j, "b")}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range uint64(each) {
					j.Append(journals.User(uint64(w)*each+i, ""))
				}
			})
		}
		seen := make([][]uint64, len(cursors))
		for i, c := range cursors {
			wg.Go(func() {
				for range writers * each {
					rec, err := c.Next(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					seen[i] = append(seen[i], rec.Event.LTime)
					c.Ack(rec.Seq, 200)
					c.Status()
				}
			})
		}
		wg.Wait()
		testkit.Want(t, "the two orders", seen[0], seen[1])
		for w := range uint64(writers) {
			own := slices.DeleteFunc(slices.Clone(seen[0]), func(l uint64) bool { return l/each != w })
			if len(own) != each || !slices.IsSorted(own) {
				t.Errorf("writer %d: %d events, in order: %v", w, len(own), slices.IsSorted(own))
			}
		}
	})
}
