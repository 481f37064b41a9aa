package handler

import (
	"errors"
	"testing"
	"time"
)

func TestJournalRequeue(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxEvents: 4, MaxPending: 4})
		c := openCursor(t, m, "a", Filter{User, "x"})
		for i := uint64(1); i <= 6; i++ {
			mustAppend(t, m, user(i, map[bool]string{true: "x", false: "y"}[i != 5]))
		}
		want(t, "handed out", ready(t, c), []uint64{2, 3, 4, 6}) // 1 is lost
		ack(t, c, 3, 4)
		if err := c.Bury(2, BuriedInfo{}); err != nil {
			t.Fatal(err)
		}
		// 6 is in hand, 5 was refused by the filter, 2 is held as it is buried.
		if err := c.Requeue(6, 5, 2, 3, 2); err != nil {
			t.Fatal(err)
		}
		want(t, "once more", ready(t, c), []uint64{2, 3, 5})
		want(t, "buried", len(c.Buried()), 0)

		if nerr, ok := errors.AsType[*NotHeldError](c.Requeue(4, 1)); !ok || nerr.Seq != 1 {
			t.Errorf("not held: %v", nerr)
		}
		if terr, ok := errors.AsType[*TooManyError](c.Requeue(4)); !ok || terr.Waiting != 5 || terr.Free != 0 {
			t.Errorf("too many: %v", terr)
		}
		ack(t, c, 2, 3, 5, 6)
		want(t, "and nothing came of those", c.Status().Waiting, 0)
		if err := c.Requeue(); err != nil {
			t.Error(err)
		}
	})
}

func TestJournalTooManyByBytes(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{MaxPendingBytes: 10_000})
		c := openCursor(t, m, "a")
		for i := range uint64(4) {
			mustAppend(t, m, NewUser(i, "", make([]byte, 4000), time.Now()))
			ready(t, c)
			ack(t, c, i+1)
		}
		if terr, ok := errors.AsType[*TooManyError](c.Requeue(1, 2, 3)); !ok || terr.Free != 2 || terr.WaitingBytes != 3*4200 {
			t.Errorf("%+v", terr)
		}
		if err := c.Requeue(1, 4); err != nil {
			t.Error(err)
		}
		want(t, "handed out", ready(t, c), []uint64{0, 3})
	})
}

// What is asked for once more has waited only since then, however old it is.
func TestJournalRequeueMaxAge(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) *Memory) {
		m := newJournal(MemoryConfig{})
		cfg := CursorConfig{MaxAge: time.Minute}
		c, err := m.Cursor("a", cfg)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, m, user(1, ""), user(2, ""), user(3, ""))
		want(t, "at first", ready(t, c), []uint64{1, 2, 3})
		ack(t, c, 1, 2)
		if err := c.Bury(3, BuriedInfo{}); err != nil {
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
		if c, err = m.Cursor("a", cfg); err != nil {
			t.Fatal(err)
		}
		want(t, "once more", ready(t, c), []uint64{1, 2, 3})
		ack(t, c, 1, 2, 3)
		if s := c.Status(); s.Lost > 0 || s.Gap.Open() {
			t.Errorf("%+v", s)
		}

		if err := c.Requeue(2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		want(t, "after waiting too long", ready(t, c), nil)
		if s := c.Status(); s.Expired != 1 || !s.Gap.Open() {
			t.Errorf("%+v", s)
		}
	})
}
