package handler

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func outcomesOf(j Journal, target string, n uint64) []Outcome {
	var out []Outcome
	for seq := range n {
		out = append(out, j.Outcome(target, seq+1))
	}
	return out
}

// What became of each event is told, and by the next process too, less the
// times and the answers.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DiskConfig{Dir: t.TempDir(), Limits: MemoryConfig{MaxPending: 4, MaxBuried: 1}}
		d := openDir(t, cfg)
		mustAppend(t, d, user(1, "a"))
		c := openCursor(t, d, "t", Filter{User, "a"})
		for i := uint64(2); i <= 7; i++ { // 2 is lost
			mustAppend(t, d, user(i, map[bool]string{true: "a", false: "b"}[i != 4]))
		}
		mustAppend(t, d, user(8, "a"))
		lost := time.Now()
		ready(t, c)
		time.Sleep(time.Second)
		if err := c.Ack(5, 204); err != nil {
			t.Fatal(err)
		}
		acked := time.Now()
		if err := errors.Join(c.Bury(6, BuriedInfo{Time: acked, Status: 404}), c.Bury(7, BuriedInfo{Time: acked, Status: 410})); err != nil {
			t.Fatal(err)
		}
		wanted := []Outcome{
			{}, {State: OutcomeLost, Time: lost}, {State: OutcomeLost, Time: lost}, {},
			{State: OutcomeDelivered, Time: acked, Status: 204},
			{State: OutcomeBuried, Time: acked, Status: 404}, {State: OutcomeBuried, Time: acked, Status: 410},
			{State: OutcomeWaiting}, {},
		}
		want(t, "outcomes", outcomesOf(d, "t", 9), wanted)
		want(t, "of no target", d.Outcome("u", 5), Outcome{})
		c.Close()
		// Other filters change nothing for what came before.
		openCursor(t, d, "t", Filter{User, "b"}).Close()
		mustAppend(t, d, user(9, "a"), user(10, "b"))
		closeDisk(t, d)

		d = openDir(t, cfg)
		wanted[1].Time, wanted[2].Time, wanted[4] = time.Time{}, time.Time{}, Outcome{State: OutcomeDelivered}
		wanted[5] = Outcome{State: OutcomeBuried} // its burial was one too many
		got := outcomesOf(d, "t", 9)
		want(t, "time of the burial", got[6].Time.Equal(acked), true)
		got[6].Time = acked
		want(t, "after a restart", got, wanted)
		want(t, "under the new filters", d.Outcome("t", 10), Outcome{State: OutcomeWaiting})

		c = openCursor(t, d, "t", Filter{User, "b"})
		if err := c.Requeue(2, 6); err != nil {
			t.Fatal(err)
		}
		ready(t, c)
		ack(t, c, 2, 6)
		closeDisk(t, d)
		d = openDir(t, cfg)
		want(t, "lost and delivered later", d.Outcome("t", 2), Outcome{State: OutcomeDelivered})
		want(t, "lost for good", d.Outcome("t", 3), Outcome{State: OutcomeLost})
		want(t, "refused and delivered later", d.Outcome("t", 6), Outcome{State: OutcomeDelivered})
		if s, ok := d.CursorStatus("t"); !ok || s.Lost != 2 || s.Waiting != 2 {
			t.Errorf("of a closed cursor: %+v, %v", s, ok)
		}
		if _, ok := d.CursorStatus("u"); ok {
			t.Error("a target that is not has a cursor")
		}
	})
}

// The filters of before are known as long as one of their events is retained.
func TestOutcomesUnderEarlierFilters(t *testing.T) {
	cfg := DiskConfig{Dir: t.TempDir(), Limits: MemoryConfig{MaxEvents: 1}}
	d := openDir(t, cfg)
	c := openCursor(t, d, "t", Filter{User, "a"})
	mustAppend(t, d, user(1, "a"))
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ack(t, c, 1)
	c.Close()
	openCursor(t, d, "t", Filter{User, "b"})
	closeDisk(t, d)
	d = openDir(t, cfg)
	want(t, "delivered under other filters", d.Outcome("t", 1), Outcome{State: OutcomeDelivered})
	mustAppend(t, d, user(2, "b"))
	closeDisk(t, d)
	d = openDir(t, cfg)
	want(t, "eras", len(d.cursors["t"].eras), 1)
}

// Records go with the history, and filters that refuse all cost none.
func TestOutcomesAreTrimmed(t *testing.T) {
	m := NewMemory(MemoryConfig{MaxEvents: 10})
	c := openCursor(t, m, "a")
	openCursor(t, m, "b", Filter{User, "other"})
	for i := range uint64(1000) {
		mustAppend(t, m, user(i, ""))
		if rec, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		} else {
			ack(t, c, rec.Seq)
		}
	}
	want(t, "records", []int{m.cursors["a"].outcomes.records.Len(), m.cursors["b"].outcomes.records.Len()}, []int{10, 0})
	want(t, "let go of", m.Outcome("a", 990), Outcome{})
	want(t, "retained", m.Outcome("a", 991).State, OutcomeDelivered)
}

func TestSpans(t *testing.T) {
	var s spans
	for _, r := range []span{{5, 6}, {9, 9}, {7, 7}, {1, 2}, {20, 30}, {8, 25}, {40, 40}} {
		s.add(r)
	}
	want(t, "added", fmt.Sprint(s), fmt.Sprint(spans{{1, 2}, {5, 30}, {40, 40}}))
	s.remove(1)
	s.remove(10)
	s.remove(40)
	s.remove(50)
	want(t, "removed", fmt.Sprint(s), fmt.Sprint(spans{{2, 2}, {5, 9}, {11, 30}}))
	want(t, "has", []bool{s.has(1), s.has(2), s.has(10), s.has(11), s.has(31)}, []bool{false, true, false, true, false})
	s.add(span{40, 41})
	s.squeeze(4)
	want(t, "not squeezed", len(s), 4)
	s.add(span{60, 60})
	s.squeeze(4)
	want(t, "squeezed", fmt.Sprint(s), fmt.Sprint(spans{{2, 2}, {5, 30}, {40, 41}, {60, 60}}))
	s.trim(12)
	want(t, "trimmed", fmt.Sprint(s), fmt.Sprint(spans{{5, 30}, {40, 41}, {60, 60}}))
}
