// Package journals is what tests do with journals.
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

// Update is an event of which those with the same n are equal.
func Update(ltime uint64, n int) handler.Event {
	return handler.NewUser(ltime, "kong", fmt.Appendf(nil, "key %d", n), time.Now())
}

func OpenCollapsing(t testing.TB, j *journal.Journal, target string) *journal.Cursor {
	t.Helper()
	c, err := j.Cursor(target, journal.CursorConfig{Collapse: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func MustGap(t testing.TB, j *journal.Journal, n uint64, reason string) {
	t.Helper()
	if err := j.Gap(n, reason); err != nil {
		t.Fatal(err)
	}
}

func User(ltime uint64, name string) handler.Event {
	return handler.NewUser(ltime, name, fmt.Appendf(nil, "payload %d", ltime), time.Now())
}

func OpenCursor(t testing.TB, j *journal.Journal, target string, fs ...handler.Filter) *journal.Cursor {
	t.Helper()
	c, err := j.Cursor(target, journal.CursorConfig{Filters: fs})
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

func MustAppend(t testing.TB, j *journal.Journal, events ...handler.Event) {
	t.Helper()
	if err := j.Append(events...); err != nil {
		t.Fatal(err)
	}
}

func Ack(t testing.TB, c *journal.Cursor, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := c.Ack(seq, 200); err != nil {
			t.Fatal(err)
		}
	}
}

// Pending gives what waits for a target, by sequence number, less what is joined
// to another event.
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
