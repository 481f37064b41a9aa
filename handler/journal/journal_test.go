package journal_test

import (
	"context"
	"errors"
	"slices"
	"sync"
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

func TestJournalRetention(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxEvents: 3, MaxAge: time.Hour})
		c := journals.OpenCursor(t, j, "a")
		for i := range uint64(5) {
			journals.MustAppend(t, j, handler.NewQuery(i, "", nil, time.Now()))
			time.Sleep(time.Minute)
		}
		testkit.Want(t, "retained by count", journals.LTimes(t, j.Events(0)), []uint64{2, 3, 4})
		testkit.Want(t, "from a sequence number", journals.LTimes(t, j.Events(5)), []uint64{4})
		time.Sleep(58 * time.Minute)
		testkit.Want(t, "retained by age", journals.LTimes(t, j.Events(0)), []uint64{3, 4})
		time.Sleep(time.Hour)
		testkit.Want(t, "all aged", journals.LTimes(t, j.Events(0)), nil)
		testkit.Want(t, "a target still gets them all", journals.Ready(t, c), []uint64{0, 1, 2, 3, 4})
		testkit.Want(t, "head", j.Head(), 5)
	})
}

// Age lets go of nothing that serf may send again.
func TestJournalRetainsWhatSerfSendsAgain(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxEvents: 4, MaxAge: time.Hour})
		aged := func() []uint64 {
			time.Sleep(2 * time.Hour)
			return journals.LTimes(t, j.Events(0))
		}
		journals.MustAppend(t, j, handler.NewQuery(9000, "", nil, time.Now()), journals.User(488, ""), handler.NewQuery(1, "", nil, time.Now()), journals.User(999, ""))
		testkit.Want(t, "the newest 512 and what is among them", aged(), []uint64{488, 1, 999})
		journals.MustAppend(t, j, journals.User(1000, ""))
		testkit.Want(t, "one that serf has forgotten", aged(), []uint64{999, 1000})
		journals.MustAppend(t, j, journals.User(1001, ""), journals.User(1002, ""), journals.User(1003, ""))
		testkit.Want(t, "by count", aged(), []uint64{1000, 1001, 1002, 1003})
	})
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

// Events that were lost before they came are a gap for every target.
func TestGap(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{})
		a, err := j.Cursor("a", journal.CursorConfig{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := j.Cursor("b", journal.CursorConfig{Filters: handler.Filters{{Type: handler.Query}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := j.Gap(3, "the reason"); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]*journal.Cursor{"a": a, "b": b} {
			if s := c.Status(); s.Lost != 6 || !s.Gap.Open() || s.Gap.Reason != "the reason" || s.Waiting != 0 {
				t.Errorf("cursor %s: %+v, want 6 lost, since some time", name, s)
			}
			select {
			case <-c.Losses():
			default:
				t.Errorf("cursor %s was not told of its losses", name)
			}
		}
		if err := j.Lose(handler.Query, "q", "one query"); err != nil {
			t.Fatal(err)
		}
		if err := j.Lose(handler.User, "e", "one event"); err != nil {
			t.Fatal(err)
		}
		for c, want := range map[*journal.Cursor]journal.Gap{
			a: {Reason: "one event", Watermark: 4}, // no filters: all
			b: {Reason: "one query", Watermark: 3},
		} {
			if s := c.Status(); s.Gap.Reason != want.Reason || s.Gap.Watermark != want.Watermark || s.Lost != want.Watermark+4 {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		j.Close()
		for _, err := range []error{j.Gap(1, ""), j.Lose(handler.User, "e", "")} {
			if err != journal.ErrClosed {
				t.Errorf("after Close: %v, want %v", err, journal.ErrClosed)
			}
		}
	})
}
