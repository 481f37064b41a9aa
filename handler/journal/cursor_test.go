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

func TestJournalCursors(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		journals.MustAppend(t, j, journals.User(1, "kong"))
		all := journals.OpenCursor(t, j, "all")
		kong := journals.OpenCursor(t, j, "kong", handler.Filter{Type: handler.User, Name: "kong"})
		start := time.Now()
		journals.MustAppend(t, j, journals.User(2, "kong"), journals.User(3, "other"), handler.Event{Type: handler.MemberJoin, LTime: 4})
		journals.MustAppend(t, j)
		time.Sleep(time.Second)
		journals.MustAppend(t, j, journals.User(5, "kong"))

		testkit.Want(t, "head", j.Head(), 5)
		testkit.Want(t, "waiting for all", all.Status(), journal.CursorStatus{Waiting: 4, Oldest: start})
		testkit.Want(t, "waiting for kong", kong.Status(), journal.CursorStatus{Waiting: 2, Oldest: start})
		testkit.Want(t, "handed out to all", journals.Ready(t, all), []uint64{2, 3, 4, 5})
		testkit.Want(t, "handed out to kong", journals.Ready(t, kong), []uint64{2, 5})
		for range 2 {
			if err := kong.Ack(2, 200); err != nil {
				t.Error(err)
			}
		}
		testkit.Want(t, "after an ack", kong.Status(), journal.CursorStatus{Waiting: 1, Oldest: start.Add(time.Second)})
		for _, seq := range []uint64{99, 5} {
			if err := kong.Ack(seq, 200); err != nil {
				t.Error(err)
			}
		}
		testkit.Want(t, "after all acks", kong.Status(), journal.CursorStatus{})
		journals.MustAppend(t, j, journals.User(6, "kong"))
		testkit.Want(t, "not handed out, so not acknowledged", journals.Ready(t, kong), []uint64{6})
	})
}

func TestJournalReopen(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxPending: 4})
		c := journals.OpenCursor(t, j, "a", handler.Filter{Type: handler.User, Name: "x"})
		if _, err := j.Cursor("a", journal.CursorConfig{}); !errors.Is(err, journal.ErrCursorInUse) {
			t.Errorf("opened twice: %v", err)
		}
		if err := j.Forget("a"); !errors.Is(err, journal.ErrCursorInUse) {
			t.Errorf("forgotten while open: %v", err)
		}
		journals.MustAppend(t, j, journals.User(1, "x"), journals.User(2, "x"), journals.User(3, "x"))
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{1, 2, 3})
		c.Ack(1, 200)
		c.Close()
		c.Close()
		if _, err := c.Next(t.Context()); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if c.Ack(3, 200) != journal.ErrClosed || c.Requeue(1) != journal.ErrClosed {
			t.Error("a closed cursor moves")
		}
		journals.MustAppend(t, j, journals.User(4, "x"), journals.User(5, "x"), journals.User(6, "x"))

		again := journals.OpenCursor(t, j, "a", handler.Filter{Type: handler.User, Name: "y"})
		select {
		case <-again.Losses():
		default:
			t.Error("an earlier loss is not told")
		}
		journals.MustAppend(t, j, journals.User(7, "x"))
		testkit.Want(t, "handed out again", journals.Ready(t, again), []uint64{3, 4, 5, 6})
		testkit.Want(t, "lost", again.Status().Lost, 1)
		testkit.Want(t, "the old handle tells of the new one", c.Status(), again.Status())
		again.Close()
		if err := j.Forget("a"); err != nil {
			t.Error(err)
		}
		testkit.Want(t, "a forgotten target begins at the end", journals.OpenCursor(t, j, "a").Status(), journal.CursorStatus{})
	})
}

func TestJournalOverflow(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxPending: 3})
		slow, fast := journals.OpenCursor(t, j, "slow"), journals.OpenCursor(t, j, "fast")
		journals.MustAppend(t, j, journals.User(1, ""))
		first, _ := slow.Next(t.Context())
		for i := range uint64(3) {
			journals.MustAppend(t, j, journals.User(2+i, ""))
			rec, _ := fast.Next(t.Context())
			journals.Ack(t, fast, rec.Seq)
		}
		gap := time.Now()
		time.Sleep(time.Minute)
		journals.MustAppend(t, j, journals.User(5, ""))
		// 1 is in someone's hands, so it was not lost; 2 and 3 were.
		testkit.Want(t, "status", slow.Status(), journal.CursorStatus{Waiting: 3, Oldest: first.Event.Time, Lost: 2, Gap: journal.Gap{Since: gap, Reason: "more events waited than the limit allows", Watermark: 2}})
		<-slow.Losses()
		select {
		case <-slow.Losses():
			t.Error("a loss told twice")
		default:
		}
		testkit.Want(t, "left", journals.Ready(t, slow), []uint64{4, 5})
		testkit.Want(t, "lost by another target", fast.Status().Lost, 0)
	})
}

func TestJournalOverflowByBytes(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxPendingBytes: 10_000, MaxBytes: 10_000})
		c := journals.OpenCursor(t, j, "a")
		for i := range uint64(4) {
			journals.MustAppend(t, j, handler.NewUser(i, "", make([]byte, 4000), time.Now()))
		}
		testkit.Want(t, "waiting", journals.Ready(t, c), []uint64{2, 3})
		testkit.Want(t, "lost", c.Status().Lost, 2)
		testkit.Want(t, "retained", journals.LTimes(t, j.Events(0)), []uint64{2, 3})
		journals.Ack(t, c, 3, 4)
		journals.MustAppend(t, j, handler.NewUser(4, "", make([]byte, 9000), time.Now()))
		testkit.Want(t, "fits again", c.Status(), journal.CursorStatus{Waiting: 1, Oldest: time.Now(), Lost: 2, Gap: journal.Gap{Since: time.Now(), Reason: "more events waited than the limit allows", Watermark: 2}})
		journals.MustAppend(t, j, handler.NewUser(5, "", make([]byte, 20_000), time.Now()))
		testkit.Want(t, "larger than the limit", c.Status().Lost, 4)
		testkit.Want(t, "retained", journals.LTimes(t, j.Events(0)), nil)
	})
}
