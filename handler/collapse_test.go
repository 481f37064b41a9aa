package handler

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// update is an event of which those with the same n are equal.
func update(ltime uint64, n int) Event {
	return NewUser(ltime, "kong", fmt.Appendf(nil, "key %d", n), time.Now())
}

func openCollapsing(t testing.TB, j Journal, target string) Cursor {
	t.Helper()
	c, err := j.Cursor(target, CursorConfig{Collapse: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCollapse(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) Journal) {
		j := newJournal(MemoryConfig{MaxPending: 10})
		c, plain := openCollapsing(t, j, "a"), openCursor(t, j, "b")
		for i := range 10_000 {
			mustAppend(t, j, update(uint64(i), i%10))
		}
		s := c.Status()
		want(t, "waiting, joined and lost", []uint64{uint64(s.Waiting), s.Collapsed, s.Lost}, []uint64{10_000, 9990, 0})
		want(t, "handed out", ready(t, c), []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		want(t, "a target that did not ask for it", ready(t, plain), []uint64{9990, 9991, 9992, 9993, 9994, 9995, 9996, 9997, 9998, 9999})
		want(t, "of one that waits with its leader", j.Outcome("a", 9993), Outcome{State: OutcomeWaiting, Into: 3})
		ack(t, c, 3)
		want(t, "of one that is through with it", j.Outcome("a", 9993),
			Outcome{State: OutcomeDelivered, Time: time.Now(), Status: 200, Into: 3})
		if err := c.Bury(4, BuriedInfo{Status: 422}); err != nil {
			t.Fatal(err)
		}
		want(t, "of one that was refused with it", j.Outcome("a", 14),
			Outcome{State: OutcomeBuried, Time: time.Now(), Status: 422, Into: 4})
		want(t, "buried", len(c.Buried()), 1)
		want(t, "left", c.Status().Waiting, 8000)
		mustAppend(t, j, update(20_000, 5))
		want(t, "one whose equal was handed out waits itself", ready(t, c), []uint64{20_000})
	})
}

// Events that are not equal, or tell of members, are not joined.
func TestCollapseOnlyEqual(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) Journal) {
		j := newJournal(MemoryConfig{})
		c := openCollapsing(t, j, "a")
		now := time.Now()
		mustAppend(t, j, NewUser(1, "ab", []byte("c"), now), NewUser(2, "a", []byte("bc"), now), NewQuery(3, "ab", []byte("c"), now),
			Event{Type: MemberJoin, LTime: 4}, Event{Type: MemberJoin, LTime: 5}, NewUser(6, "ab", []byte("c"), now))
		want(t, "handed out", ready(t, c), []uint64{1, 2, 3, 4, 5})
		want(t, "joined", c.Status().Collapsed, 1)
	})
	// An equal hash proves nothing.
	m := NewMemory(MemoryConfig{})
	c := openCollapsing(t, m, "a").(*memoryCursor)
	mustAppend(t, m, update(1, 1))
	other := update(2, 2)
	c.leaders[leadersKey(&other)] = c.waiting.At(0)
	mustAppend(t, m, other)
	want(t, "waiting by themselves", c.waiting.Len(), 2)
}

// A leader that is given up takes along what was joined to it.
func TestCollapseLoses(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) Journal) {
		j := newJournal(MemoryConfig{MaxPending: 2, MaxEvents: 6})
		c := openCollapsing(t, j, "a")
		mustAppend(t, j, update(1, 1), update(2, 2), update(3, 1), update(4, 1), update(5, 3))
		s := c.Status()
		want(t, "waiting and lost", []uint64{uint64(s.Waiting), s.Lost}, []uint64{2, 3})
		want(t, "of one given up with its leader", j.Outcome("a", 4), Outcome{State: OutcomeLost, Time: time.Now(), Into: 1})
		mustAppend(t, j, update(6, 2), update(7, 2), update(8, 4))
		want(t, "which leads no more", ready(t, c), []uint64{5, 8})
		want(t, "lost", c.Status().Lost, 6)
	})
}

// What the log lets go of does not wait any more: its leader stands for it.
func TestCollapseRetention(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) Journal) {
		j := newJournal(MemoryConfig{MaxEvents: 4})
		c := openCollapsing(t, j, "a")
		for i := range uint64(20) {
			mustAppend(t, j, update(i, int(i%2)))
		}
		want(t, "waiting", c.Status().Waiting, 6)
		want(t, "let go of", j.Outcome("a", 16), Outcome{})
		want(t, "retained", j.Outcome("a", 17), Outcome{State: OutcomeWaiting, Into: 1})
		want(t, "handed out", ready(t, c), []uint64{0, 1})
		ack(t, c, 1, 2)
		want(t, "and all is through", c.Status().Waiting, 0)
		if err := c.Requeue(17, 19); err != nil {
			t.Fatal(err)
		}
		want(t, "requeued ones are not joined", ready(t, c), []uint64{16, 18})
	})
}

// Opened anew what waits is joined; without Collapse what was joined stays so,
// and what comes is not.
func TestCollapseReopen(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) Journal) {
		j := newJournal(MemoryConfig{})
		c := openCollapsing(t, j, "a")
		mustAppend(t, j, update(1, 1), update(2, 2))
		want(t, "in hand", ready(t, c), []uint64{1, 2})
		mustAppend(t, j, update(3, 1), update(4, 1))
		want(t, "joined to what is not in hand", j.Outcome("a", 4).Into, 3)
		c.Close()
		mustAppend(t, j, update(5, 2))
		want(t, "joined while closed", []uint64{j.Outcome("a", 3).Into, j.Outcome("a", 4).Into, j.Outcome("a", 5).Into}, []uint64{1, 1, 2})

		c = openCursor(t, j, "a")
		mustAppend(t, j, update(6, 1), update(7, 1))
		want(t, "status", c.Status().Waiting, 7)
		want(t, "joined since", c.Status().Collapsed, 0)
		c.Close()
		c = openCursor(t, j, "a")
		want(t, "handed out", ready(t, c), []uint64{1, 2, 6, 7})
		c.Close()
		c = openCollapsing(t, j, "a")
		want(t, "joined after the fact", ready(t, c), []uint64{1, 2})
		ack(t, c, 1, 2)
		want(t, "through", c.Status().Waiting, 0)
		c.Close()
		if err := j.Forget("a"); err != nil {
			t.Fatal(err)
		}
		want(t, "forgotten", j.Outcome("a", 6), Outcome{})
	})
}

// The next process joins the same, delivers nothing twice that was through
// with its leader, and takes nothing for delivered that was not.
func TestCollapseNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DiskConfig{Dir: t.TempDir(), Limits: MemoryConfig{MaxPending: 4}}
		d := openDir(t, cfg)
		c := openCollapsing(t, d, "a")
		mustAppend(t, d, update(1, 1), update(2, 2), update(3, 3), update(4, 4),
			update(5, 1), update(6, 2), update(7, 3), update(8, 4))
		if got := ready(t, c); len(got) != 4 {
			t.Fatal(got)
		}
		ack(t, c, 2)
		if err := c.Bury(3, BuriedInfo{}); err != nil {
			t.Fatal(err)
		}
		closeDisk(t, d)
		r, err := CheckDir(cfg.Dir)
		if err != nil || r.Targets[0].Waiting != 4 {
			t.Errorf("%+v, %v", r, err)
		}

		cfg.Limits.MaxPending = 2 // which counts leaders
		d = openDir(t, cfg)
		if s, _ := d.CursorStatus("a"); s.Waiting != 4 || s.Lost != 0 || s.Collapsed != 0 {
			t.Errorf("%+v", s)
		}
		got := outcomesOf(d, "a", 8)
		waiting, delivered, buried := OutcomeWaiting, OutcomeDelivered, OutcomeBuried
		for i, o := range []Outcome{{State: waiting}, {State: delivered}, {State: buried}, {State: waiting},
			{State: waiting, Into: 1}, {State: delivered}, {State: buried}, {State: waiting, Into: 4}} {
			if got[i].State != o.State || got[i].Into != o.Into {
				t.Errorf("event %d: %+v, want %+v", i+1, got[i], o)
			}
		}
		want(t, "handed out", ready(t, openCollapsing(t, d, "a")), []uint64{1, 4})
	})
}

// Beside what is joined the file's holes are narrow, and what the log let go
// of has its own: nothing is taken for delivered too soon, or comes again.
func TestCollapseHoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DiskConfig{Dir: t.TempDir()}
		d := openDir(t, cfg)
		c := openCollapsing(t, d, "a")
		mustAppend(t, d, update(1, 1), update(2, 2))
		ready(t, c)
		ack(t, c, 1)
		if err := c.Requeue(1); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, d, update(3, 1))
		ack(t, c, 2)
		closeDisk(t, d)
		d = openDir(t, cfg)
		want(t, "joined to one that waits before a hole", d.Outcome("a", 3), Outcome{State: OutcomeWaiting, Into: 1})

		cfg = DiskConfig{Dir: t.TempDir(), Limits: MemoryConfig{MaxEvents: 2}}
		d = openDir(t, cfg)
		c = openCollapsing(t, d, "a")
		openCursor(t, d, "b") // so all is in the file
		mustAppend(t, d, update(1, 1), update(2, 2), update(3, 1), update(4, 4), update(5, 5))
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		ack(t, c, 1)
		closeDisk(t, d)
		d = openDir(t, cfg)
		want(t, "let go of, and through with its leader", ready(t, openCollapsing(t, d, "a")), []uint64{2, 4, 5})
	})
}

func TestMaxAge(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(MemoryConfig) Journal) {
		j := newJournal(MemoryConfig{})
		open := func() Cursor {
			c, err := j.Cursor("a", CursorConfig{MaxAge: time.Minute, Collapse: true})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := open()
		mustAppend(t, j, update(1, 1), update(2, 2), update(3, 2))
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mustAppend(t, j, update(4, 4), update(5, 2))
		time.Sleep(time.Nanosecond)
		lost := time.Now()
		want(t, "not before their turn", c.Status().Lost, 0)
		want(t, "handed out", ready(t, c), []uint64{4})
		s := c.Status()
		want(t, "waiting, lost, expired", []uint64{uint64(s.Waiting), s.Lost, s.Expired}, []uint64{2, 3, 3})
		select {
		case <-c.Losses():
		default:
			t.Error("the loss is not told")
		}
		want(t, "outcome", j.Outcome("a", 3), Outcome{State: OutcomeLost, Time: lost, Into: 2})
		ack(t, c, rec.Seq)
		want(t, "in hand it does not expire", j.Outcome("a", 1).State, OutcomeDelivered)
		c.Close()
		time.Sleep(time.Hour)
		c = openCursor(t, j, "a") // without a MaxAge
		want(t, "handed out again", ready(t, c), []uint64{4})
		want(t, "expired", c.Status().Expired, 3)
	})
}
