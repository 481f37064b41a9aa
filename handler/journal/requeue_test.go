package journal_test

import (
	"errors"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestJournalRequeue(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxEvents: 4, MaxPending: 4})
		c := journals.OpenCursor(t, j, "a", handler.Filter{Type: handler.User, Name: "x"})
		for i := uint64(1); i <= 6; i++ {
			journals.MustAppend(t, j, journals.User(i, map[bool]string{true: "x", false: "y"}[i != 5]))
		}
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{2, 3, 4, 6}) // 1 is lost
		journals.Ack(t, c, 3, 4)
		if err := c.Bury(2, journal.Burial{}); err != nil {
			t.Fatal(err)
		}
		// 6 is in hand, 5 was refused by the filter, 2 is held as it is buried.
		if err := c.Requeue(6, 5, 2, 3, 2); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "once more", journals.Ready(t, c), []uint64{2, 3, 5})
		testkit.Want(t, "buried", len(c.Buried()), 0)

		if nerr, ok := errors.AsType[*journal.NotHeldError](c.Requeue(4, 1)); !ok || nerr.Seq != 1 {
			t.Errorf("not held: %v", nerr)
		}
		if terr, ok := errors.AsType[*journal.TooManyError](c.Requeue(4)); !ok || terr.Waiting != 5 || terr.Free != 0 {
			t.Errorf("too many: %v", terr)
		}
		journals.Ack(t, c, 2, 3, 5, 6)
		testkit.Want(t, "and nothing came of those", c.Status().Waiting, 0)
		if err := c.Requeue(); err != nil {
			t.Error(err)
		}
	})
}

func TestJournalTooManyByBytes(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxPendingBytes: 10_000})
		c := journals.OpenCursor(t, j, "a")
		for i := range uint64(4) {
			journals.MustAppend(t, j, handler.NewUser(i, "", make([]byte, 4000), time.Now()))
			journals.Ready(t, c)
			journals.Ack(t, c, i+1)
		}
		if terr, ok := errors.AsType[*journal.TooManyError](c.Requeue(1, 2, 3)); !ok || terr.Free != 2 || terr.WaitingBytes != 3*4200 {
			t.Errorf("%+v", terr)
		}
		if err := c.Requeue(1, 4); err != nil {
			t.Error(err)
		}
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{0, 3})
	})
}

// What is asked for once more has waited only since then, however old it is.
func TestJournalRequeueMaxAge(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		cfg := journal.CursorConfig{MaxAge: time.Minute}
		c, err := j.Cursor("a", cfg)
		if err != nil {
			t.Fatal(err)
		}
		journals.MustAppend(t, j, journals.User(1, ""), journals.User(2, ""), journals.User(3, ""))
		testkit.Want(t, "at first", journals.Ready(t, c), []uint64{1, 2, 3})
		journals.Ack(t, c, 1, 2)
		if err := c.Bury(3, journal.Burial{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if err := c.Requeue(1, 2, 3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if rec, err := c.Next(t.Context()); err != nil || rec.Seq != 1 {
			t.Fatal(rec, err)
		}
		c.Close() // 1 waits again, as it did
		if c, err = j.Cursor("a", cfg); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "once more", journals.Ready(t, c), []uint64{1, 2, 3})
		journals.Ack(t, c, 1, 2, 3)
		if s := c.Status(); s.Lost > 0 || s.Gap.Open() {
			t.Errorf("%+v", s)
		}

		if err := c.Requeue(2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		testkit.Want(t, "after waiting too long", journals.Ready(t, c), nil)
		if s := c.Status(); s.Expired != 1 || !s.Gap.Open() {
			t.Errorf("%+v", s)
		}
	})
}
