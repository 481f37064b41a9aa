//go:build linux

package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecorder(t *testing.T) {
	r := newRecorder(2)
	round := r.begin(4)
	t0 := time.Now().Add(time.Hour)
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

	r.note(0, payload(round, 0), at(1))
	if _, all := r.everywhere(0); all {
		t.Error("an event is everywhere that came to one of two")
	}
	r.note(1, payload(round, 0), at(7))
	r.note(0, payload(round, 0), at(9)) // again
	if last, all := r.everywhere(0); !all || last != at(7) {
		t.Errorf("everywhere %v, at %v; want at %v", all, last, at(7))
	}
	r.note(0, payload(round, 1), at(8))
	r.note(0, payload(round, 4), at(20)) // no such event
	r.note(0, payload(round-1, 2), at(20))
	r.note(0, []byte(`{"type":"member-join","entity":"node1"}`), at(20))
	o := r.outcome(4)
	if !slices.Equal(o.shares, []float64{0.5, 0.25}) || o.worst() != 0.25 || o.total != 3 || o.repeats != 1 || o.last != at(8) {
		t.Errorf("outcome is %+v", o)
	}

	next := r.begin(4)
	r.note(0, payload(round, 0), at(30)) // late
	if o := r.outcome(4); o.total != 0 || o.repeats != 0 {
		t.Errorf("an event of the round before counts: %+v", o)
	}
	r.note(0, payload(next, 3), at(31))
	if o := r.outcome(4); o.total != 1 {
		t.Errorf("an event of this round does not count: %+v", o)
	}
}

func TestRecorderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(1)
		round := r.begin(3)
		began := time.Now()
		// The events come after 1, 4 and 9 seconds.
		go func() {
			for i, pause := range []time.Duration{1, 3, 5} {
				time.Sleep(pause * time.Second)
				r.note(0, payload(round, i), time.Now())
			}
		}()
		if last, all := r.await(t.Context(), 0, 10*time.Second); !all || last != began.Add(time.Second) {
			t.Errorf("the first came %v, at %v", all, last.Sub(began))
		}
		if _, all := r.await(t.Context(), 2, time.Second); all || time.Since(began) != 2*time.Second {
			t.Errorf("the last came %v, after %v", all, time.Since(began))
		}
		if o := r.settle(t.Context(), 3, 4*time.Second, time.Minute); o.total != 2 || time.Since(began) != 8*time.Second {
			t.Errorf("with nothing new for 4 s: %+v after %v", o, time.Since(began))
		}
		if o := r.settle(t.Context(), 3, 4*time.Second, time.Minute); o.worst() != 1 || time.Since(began) != 9*time.Second {
			t.Errorf("with all there: %+v after %v", o, time.Since(began))
		}
		if o := r.settle(t.Context(), 4, time.Minute, 2*time.Second); o.worst() == 1 || time.Since(began) != 11*time.Second {
			t.Errorf("at the limit: %+v after %v", o, time.Since(began))
		}
	})
}
