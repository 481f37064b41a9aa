package handler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func user(ltime uint64, name string) Event {
	return NewUser(ltime, name, fmt.Appendf(nil, "payload %d", ltime), time.Now())
}

func openCursor(t testing.TB, j *Memory, target string, fs ...Filter) *memoryCursor {
	t.Helper()
	c, err := j.Cursor(target, CursorConfig{Filters: fs})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ready returns the Lamport times of what the cursor hands out without
// waiting. It must be called in a synctest bubble: what was handed out before
// waits too but does not come again, and there a nanosecond tells.
func ready(t testing.TB, c *memoryCursor) []uint64 {
	t.Helper()
	var got []uint64
	for range c.Status().Waiting {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		rec, err := c.Next(ctx)
		cancel()
		if err != nil {
			return got
		}
		got = append(got, rec.Event.LTime)
	}
	return got
}

func ltimes(t testing.TB, records iter.Seq2[Record, error]) []uint64 {
	t.Helper()
	var got []uint64
	for rec, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec.Event.LTime)
	}
	return got
}

func mustAppend(t testing.TB, j *Memory, events ...Event) {
	t.Helper()
	if err := j.Append(events...); err != nil {
		t.Fatal(err)
	}
}

func want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

func TestJournalNextWaits(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{})
		c := openCursor(t, m, "a", Filter{User, "kong"})
		got := make(chan Record)
		go func() {
			rec, _ := c.Next(t.Context())
			got <- rec
		}()
		synctest.Wait()
		mustAppend(t, m, user(1, "other"))
		synctest.Wait()
		select {
		case rec := <-got:
			t.Fatalf("got %+v", rec)
		default:
		}
		mustAppend(t, m, user(2, "kong"))
		want(t, "handed out", (<-got).Event.LTime, 2)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		mustAppend(t, m, user(3, "kong"))
		if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %v", err)
		}
		want(t, "still there", ready(t, c), []uint64{3})

		errs := make(chan error)
		go func() {
			_, err := c.Next(t.Context())
			errs <- err
		}()
		synctest.Wait()
		m.Close()
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestJournalKeepsItsOwnPayload(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{})
		c := openCursor(t, m, "a")
		payload := []byte("abc")
		mustAppend(t, m, NewUser(1, "kong", payload, time.Time{}))
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
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxEvents: 3, MaxAge: time.Hour})
		c := openCursor(t, m, "a")
		for i := range uint64(5) {
			mustAppend(t, m, NewQuery(i, "", nil, time.Now()))
			time.Sleep(time.Minute)
		}
		want(t, "retained by count", ltimes(t, m.Events(0)), []uint64{2, 3, 4})
		want(t, "from a sequence number", ltimes(t, m.Events(5)), []uint64{4})
		time.Sleep(58 * time.Minute)
		want(t, "retained by age", ltimes(t, m.Events(0)), []uint64{3, 4})
		time.Sleep(time.Hour)
		want(t, "all aged", ltimes(t, m.Events(0)), nil)
		want(t, "a target still gets them all", ready(t, c), []uint64{0, 1, 2, 3, 4})
		want(t, "head", m.Head(), 5)
	})
}

// Age lets go of nothing that serf may send again.
func TestJournalRetainsWhatSerfSendsAgain(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxEvents: 4, MaxAge: time.Hour})
		aged := func() []uint64 {
			time.Sleep(2 * time.Hour)
			return ltimes(t, m.Events(0))
		}
		mustAppend(t, m, NewQuery(9000, "", nil, time.Now()), user(488, ""), NewQuery(1, "", nil, time.Now()), user(999, ""))
		want(t, "the newest 512 and what is among them", aged(), []uint64{488, 1, 999})
		mustAppend(t, m, user(1000, ""))
		want(t, "one that serf has forgotten", aged(), []uint64{999, 1000})
		mustAppend(t, m, user(1001, ""), user(1002, ""), user(1003, ""))
		want(t, "by count", aged(), []uint64{1000, 1001, 1002, 1003})
	})
}

func TestJournalByLTime(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{})
		now := time.Now()
		mustAppend(t, m, user(9, "a"), user(3, "b"), NewQuery(4, "q", nil, now), user(5, "c"), user(3, "d"), user(6, "e"))
		want(t, "user events", ltimes(t, m.ByLTime(User, 3, 5)), []uint64{3, 5, 3})
		want(t, "queries", ltimes(t, m.ByLTime(Query, 0, 100)), []uint64{4})
		for range m.ByLTime(User, 0, 100) {
			break // must not go on
		}
		m.Close()
		for _, err := range m.Events(0) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		if err := m.Append(user(1, "a")); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := m.Cursor("a", CursorConfig{}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestJournalConcurrently(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		const writers, each = 4, 500
		m := newJournal(MemoryConfig{})
		cursors := []*memoryCursor{openCursor(t, m, "a"), openCursor(t, m, "b")}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range uint64(each) {
					m.Append(user(uint64(w)*each+i, ""))
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
		want(t, "the two orders", seen[0], seen[1])
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
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{})
		a, err := m.Cursor("a", CursorConfig{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Cursor("b", CursorConfig{Filters: Filters{{Type: Query}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := m.Gap(3, "the reason"); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]*memoryCursor{"a": a, "b": b} {
			if s := c.Status(); s.Lost != 6 || !s.Gap.Open() || s.Gap.Reason != "the reason" || s.Waiting != 0 {
				t.Errorf("cursor %s: %+v, want 6 lost, since some time", name, s)
			}
			select {
			case <-c.Losses():
			default:
				t.Errorf("cursor %s was not told of its losses", name)
			}
		}
		if err := m.Lose(Query, "q", "one query"); err != nil {
			t.Fatal(err)
		}
		if err := m.Lose(User, "e", "one event"); err != nil {
			t.Fatal(err)
		}
		for c, want := range map[*memoryCursor]Gap{
			a: {Reason: "one event", Mark: 4}, // no filters: all
			b: {Reason: "one query", Mark: 3},
		} {
			if s := c.Status(); s.Gap.Reason != want.Reason || s.Gap.Mark != want.Mark || s.Lost != want.Mark+4 {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
		m.Close()
		for _, err := range []error{m.Gap(1, ""), m.Lose(User, "e", "")} {
			if err != ErrClosed {
				t.Errorf("after Close: %v, want %v", err, ErrClosed)
			}
		}
	})
}
