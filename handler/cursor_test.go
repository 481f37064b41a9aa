package handler

import (
	"errors"
	"testing"
	"time"
)

func TestJournalCursors(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{})
		mustAppend(t, m, user(1, "kong"))
		all := openCursor(t, m, "all")
		kong := openCursor(t, m, "kong", Filter{User, "kong"})
		start := time.Now()
		mustAppend(t, m, user(2, "kong"), user(3, "other"), Event{Type: MemberJoin, LTime: 4})
		mustAppend(t, m)
		time.Sleep(time.Second)
		mustAppend(t, m, user(5, "kong"))

		want(t, "head", m.Head(), 5)
		want(t, "waiting for all", all.Status(), CursorStatus{Waiting: 4, Oldest: start})
		want(t, "waiting for kong", kong.Status(), CursorStatus{Waiting: 2, Oldest: start})
		want(t, "handed out to all", ready(t, all), []uint64{2, 3, 4, 5})
		want(t, "handed out to kong", ready(t, kong), []uint64{2, 5})
		for range 2 {
			if err := kong.Ack(2, 200); err != nil {
				t.Error(err)
			}
		}
		want(t, "after an ack", kong.Status(), CursorStatus{Waiting: 1, Oldest: start.Add(time.Second)})
		for _, seq := range []uint64{99, 5} {
			if err := kong.Ack(seq, 200); err != nil {
				t.Error(err)
			}
		}
		want(t, "after all acks", kong.Status(), CursorStatus{})
		mustAppend(t, m, user(6, "kong"))
		want(t, "not handed out, so not acknowledged", ready(t, kong), []uint64{6})
	})
}

func TestJournalReopen(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxPending: 4})
		c := openCursor(t, m, "a", Filter{User, "x"})
		if _, err := m.Cursor("a", CursorConfig{}); !errors.Is(err, ErrCursorInUse) {
			t.Errorf("opened twice: %v", err)
		}
		if err := m.Forget("a"); !errors.Is(err, ErrCursorInUse) {
			t.Errorf("forgotten while open: %v", err)
		}
		mustAppend(t, m, user(1, "x"), user(2, "x"), user(3, "x"))
		want(t, "handed out", ready(t, c), []uint64{1, 2, 3})
		c.Ack(1, 200)
		c.Close()
		c.Close()
		if _, err := c.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if c.Ack(3, 200) != ErrClosed || c.Requeue(1) != ErrClosed {
			t.Error("a closed cursor moves")
		}
		mustAppend(t, m, user(4, "x"), user(5, "x"), user(6, "x"))

		again := openCursor(t, m, "a", Filter{User, "y"})
		select {
		case <-again.Losses():
		default:
			t.Error("an earlier loss is not told")
		}
		mustAppend(t, m, user(7, "x"))
		want(t, "handed out again", ready(t, again), []uint64{3, 4, 5, 6})
		want(t, "lost", again.Status().Lost, 1)
		want(t, "the old handle", c.Status().Waiting, 0)
		again.Close()
		if err := m.Forget("a"); err != nil {
			t.Error(err)
		}
		want(t, "a forgotten target begins at the end", openCursor(t, m, "a").Status(), CursorStatus{})
	})
}

func TestJournalOverflow(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxPending: 3})
		slow, fast := openCursor(t, m, "slow"), openCursor(t, m, "fast")
		mustAppend(t, m, user(1, ""))
		first, _ := slow.Next(t.Context())
		for i := range uint64(3) {
			mustAppend(t, m, user(2+i, ""))
			rec, _ := fast.Next(t.Context())
			ack(t, fast, rec.Seq)
		}
		gap := time.Now()
		time.Sleep(time.Minute)
		mustAppend(t, m, user(5, ""))
		// 1 is in someone's hands, so it was not lost; 2 and 3 were.
		want(t, "status", slow.Status(), CursorStatus{Waiting: 3, Oldest: first.Event.Time, Lost: 2, Gap: Gap{gap, "more events waited than the limit allows", 2}})
		<-slow.Losses()
		select {
		case <-slow.Losses():
			t.Error("a loss told twice")
		default:
		}
		want(t, "left", ready(t, slow), []uint64{4, 5})
		want(t, "lost by another target", fast.Status().Lost, 0)
	})
}

func TestJournalOverflowByBytes(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxPendingBytes: 10_000, MaxBytes: 10_000})
		c := openCursor(t, m, "a")
		for i := range uint64(4) {
			mustAppend(t, m, NewUser(i, "", make([]byte, 4000), time.Now()))
		}
		want(t, "waiting", ready(t, c), []uint64{2, 3})
		want(t, "lost", c.Status().Lost, 2)
		want(t, "retained", ltimes(t, m.Events(0)), []uint64{2, 3})
		ack(t, c, 3, 4)
		mustAppend(t, m, NewUser(4, "", make([]byte, 9000), time.Now()))
		want(t, "fits again", c.Status(), CursorStatus{Waiting: 1, Oldest: time.Now(), Lost: 2, Gap: Gap{time.Now(), "more events waited than the limit allows", 2}})
		mustAppend(t, m, NewUser(5, "", make([]byte, 20_000), time.Now()))
		want(t, "larger than the limit", c.Status().Lost, 4)
		want(t, "retained", ltimes(t, m.Events(0)), nil)
	})
}
