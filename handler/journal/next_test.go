package journal_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestJournalNextWaits(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		c := journals.OpenCursor(t, j, "a", handler.Filter{Type: handler.User, Name: "kong"})
		got := make(chan journal.Record)
		go func() {
			rec, _ := c.Next(t.Context())
			got <- rec
		}()
		synctest.Wait()
		journals.MustAppend(t, j, journals.User(1, "other"))
		synctest.Wait()
		select {
		case rec := <-got:
			t.Fatalf("got %+v", rec)
		default:
		}
		journals.MustAppend(t, j, journals.User(2, "kong"))
		testkit.Want(t, "handed out", (<-got).Event.LTime, 2)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		journals.MustAppend(t, j, journals.User(3, "kong"))
		if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %v", err)
		}
		testkit.Want(t, "still there", journals.Ready(t, c), []uint64{3})

		errs := make(chan error)
		go func() {
			_, err := c.Next(t.Context())
			errs <- err
		}()
		synctest.Wait()
		j.Close()
		if err := <-errs; !errors.Is(err, journal.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestMaxAge(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		open := func() *journal.Cursor {
			c, err := j.Cursor("a", journal.CursorConfig{MaxAge: time.Minute, Collapse: true})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := open()
		journals.MustAppend(t, j, journals.Update(1, 1), journals.Update(2, 2), journals.Update(3, 2))
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		journals.MustAppend(t, j, journals.Update(4, 4), journals.Update(5, 2))
		time.Sleep(time.Nanosecond)
		lost := time.Now()
		testkit.Want(t, "not before their turn", c.Status().Lost, 0)
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{4})
		s := c.Status()
		testkit.Want(t, "waiting, lost, expired", []uint64{uint64(s.Waiting), s.Lost, s.Expired}, []uint64{2, 3, 3})
		select {
		case <-c.Losses():
		default:
			t.Error("the loss is not told")
		}
		testkit.Want(t, "outcome", j.Outcome("a", 3), journal.Outcome{State: journal.OutcomeLost, Time: lost, Into: 2})
		journals.Ack(t, c, rec.Seq)
		testkit.Want(t, "in hand it does not expire", j.Outcome("a", 1).State, journal.OutcomeDelivered)
		c.Close()
		time.Sleep(time.Hour)
		c = journals.OpenCursor(t, j, "a") // without a MaxAge
		testkit.Want(t, "handed out again", journals.Ready(t, c), []uint64{4})
		testkit.Want(t, "expired", c.Status().Expired, 3)
	})
}
