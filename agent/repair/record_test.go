package repair

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Two records of the same events are equal in each range that one vouches for, although
// one had them in another order, or has joined other blocks. A record with one event less
// is not.
func TestRecordsOfTheSameEvents(t *testing.T) {
	const events = 10_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, apart := range []uint64{1, 70, 5000} { // Lamport times
		var a, more, mixed, less record
		order := make([]uint64, events)
		for i := range order {
			order[i] = uint64(i)
		}
		for at := 0; at < events; at += 100 {
			random.Shuffle(100, func(i, j int) { order[at+i], order[at+j] = order[at+j], order[at+i] })
		}
		add := func(c *record, i int, ltime uint64) { c.addEvent(stray{ltime, uint64(i + 1), fmt.Sprint(ltime)}) }
		for i := range events {
			ltime, other := uint64(i)*apart, order[i]*apart
			add(&a, i, ltime)
			add(&more, i, ltime)
			add(&mixed, i, other)
			if other != events/2*apart {
				add(&less, i, other)
			}
		}
		for i := range 2 * fineBlocks { // so that more blocks are joined
			add(&more, events+i, 1<<40+uint64(i)<<blockBits)
		}
		a.seq = events
		seen := 0
		for range 50 {
			above := random.Uint64N(events - 1)
			to := above + 1 + random.Uint64N(events-above)
			for _, c := range []*record{&more, &mixed, &less} {
				v, ok := a.vouch(above, to, c.lows())
				first, last := above*apart, (to-1)*apart
				if !ok || v.within[0] > first || v.within[1] < last || v.digest.Count < to-above {
					t.Fatalf("%d to %d: %+v, %v", above, to, v, ok)
				}
				d, ok := c.total(v.within)
				lacks := c == &less && v.within[0] <= events/2*apart && events/2*apart <= v.within[1]
				if !ok || (d == v.digest) == lacks {
					t.Errorf("%d to %d, %v: %+v is %+v there, %v", above, to, v.within, v.digest, d, ok)
				}
				if lacks {
					seen++
				}
			}
		}
		if seen == 0 {
			t.Error("no range had the event that is lacking")
		}
	}
}

// A record has the bounds that the page tells, whatever the Lamport times are, and it does
// not vouch for what it has dropped.
func TestRecordIsBounded(t *testing.T) {
	var c record
	random := rand.New(rand.NewPCG(1, 2))
	for i := range uint64(20_000) {
		c.addEvent(stray{random.Uint64() >> random.IntN(40), i + 1, fmt.Sprint(i)})
	}
	c.seq = 20_000
	if n := len(c.levels[0].blocks); n > fineBlocks {
		t.Errorf("%d blocks", n)
	}
	for _, l := range c.levels[1:] {
		if len(l.blocks) > coarseBlocks {
			t.Errorf("%d blocks", len(l.blocks))
		}
	}
	if _, ok := c.vouch(0, 10, c.lows()); c.dropped == 0 || ok {
		t.Errorf("dropped up to %d, and vouched for: %v", c.dropped, ok)
	}
	var d record
	d.begin(1000)
	for i := range uint64(maxStrays + 10) {
		d.addEvent(stray{i, i + 1, fmt.Sprint(i)})
	}
	d.seq = 1000
	if _, ok := d.vouch(0, 10, d.lows()); len(d.strays) != maxStrays || ok {
		t.Errorf("%d strays, and vouched for: %v", len(d.strays), ok)
	}
	if v, ok := d.vouch(maxStrays+10, 1000, d.lows()); !ok || v.within[0] <= v.within[1] || len(v.strays) > 0 {
		t.Errorf("of nothing: %+v, %v", v, ok)
	}
}

// Old times come to be further apart, and a number is never one that the log had yet to
// come to.
func TestPast(t *testing.T) {
	var p past
	began := time.UnixMilli(0)
	for i := range 100_000 {
		p.add(began.Add(time.Duration(i)*time.Second), uint64(i))
	}
	if len(p.times) > maxPast {
		t.Errorf("%d times", len(p.times))
	}
	for _, at := range []int{0, 10, 1000, 50_000, 99_999} {
		seq := p.headAt(began.Add(time.Duration(at) * time.Second))
		if seq > uint64(at) || at > 0 && uint64(at)-seq > 100_000*4/maxPast {
			t.Errorf("after %d s: %d", at, seq)
		}
	}
	if seq := p.headAt(began.Add(-time.Second)); seq != 0 {
		t.Errorf("before the first: %d", seq)
	}
}

// A record goes on in the next process if it is of the same log. One that cannot be read,
// or is of a log that was lost, is not believed.
func TestRecordAfterARestart(t *testing.T) {
	inCluster(t, []int{20}, func(t *testing.T, c *modelCluster) {
		n := c.nodes[0]
		vouches := func() bool {
			x, _ := n.mem.Extent()
			_, ok := n.rep.record.vouch(0, x.Trimmed, n.rep.record.lows())
			return ok && x.Trimmed > 0
		}
		again := func() {
			n.crash(false)
			n.start()
		}
		n.rep.cfg.SaveRecord = func(context.Context, []byte) error { return errUnreachable }
		for range 10 {
			c.tell(10, n)
			n.rep.round(c.ctx)
		}
		n.commit()
		if !vouches() {
			t.Fatal("it does not vouch for what it has")
		}
		record := n.rep.record.encode(n.rep.state.incarnation())
		for _, bad := range [][]byte{nil, {}, {9}, record[:len(record)-1], append(record[:len(record):len(record)], 0)} {
			n.kept.record = bad
			if again(); vouches() {
				t.Errorf("after a restart with a record of %d bytes it vouches for all", len(bad))
			}
		}
		n.kept.record = record
		if again(); !vouches() {
			t.Error("the record did not outlive the process")
		}
		n.kept.record, n.kept.log = record, n.kept.log-1 // an older copy of the journal
		if again(); vouches() {
			t.Error("a record is believed that goes beyond the log")
		}
	})
}
