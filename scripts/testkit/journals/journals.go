// Package journals has helpers for tests that append to journals and read from
// their cursors. A helper ends the test if a call fails.
package journals

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// User makes a user event whose payload names its Lamport time.
func User(ltime uint64, name string) handler.Event {
	return handler.NewUser(ltime, name, fmt.Appendf(nil, "payload %d", ltime), time.Now())
}

// Update makes a user event. Those of the same n are equal, so that they collapse.
func Update(ltime uint64, n int) handler.Event {
	return handler.NewUser(ltime, "kong", fmt.Appendf(nil, "key %d", n), time.Now())
}

// MustAppend appends events.
func MustAppend(t testing.TB, j *journal.Journal, events ...handler.Event) {
	t.Helper()
	if err := j.Append(events...); err != nil {
		t.Fatal(err)
	}
}

// MustGap tells a journal of a gap.
func MustGap(t testing.TB, j *journal.Journal, n uint64, reason string) {
	t.Helper()
	if err := j.Gap(n, reason); err != nil {
		t.Fatal(err)
	}
}

// OpenCursor opens a target's cursor; without filters all events are for it.
func OpenCursor(t testing.TB, j *journal.Journal, target string, fs ...handler.Filter) *journal.Cursor {
	t.Helper()
	c, err := j.Cursor(target, journal.CursorConfig{Filters: fs})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// OpenCollapsing opens a cursor that collapses all user events.
func OpenCollapsing(t testing.TB, j *journal.Journal, target string) *journal.Cursor {
	t.Helper()
	c, err := j.Cursor(target, journal.CursorConfig{Collapse: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ready returns the Lamport times of what the cursor hands out without
// waiting. It must be called in a synctest bubble: what was handed out before
// waits too but does not come again, and there a nanosecond tells.
func Ready(t testing.TB, c *journal.Cursor) []uint64 {
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

// LTimes returns the Lamport times of records, in their order.
func LTimes(t testing.TB, records iter.Seq2[journal.Record, error]) []uint64 {
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

// Ack acknowledges events that were handed out, as answered with 200.
func Ack(t testing.TB, c *journal.Cursor, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := c.Ack(seq, 200); err != nil {
			t.Fatal(err)
		}
	}
}

// Pending returns the sequence numbers of the events that wait for a target, less
// those that are joined to another.
func Pending(t testing.TB, j *journal.Journal, target string) (seqs []uint64) {
	t.Helper()
	for rec, err := range j.Held(0) {
		if err != nil {
			t.Fatal(err)
		}
		if o := j.Outcome(target, rec.Seq); o.State == journal.OutcomeWaiting && o.Into == 0 {
			seqs = append(seqs, rec.Seq)
		}
	}
	return seqs
}
