package journal_test

import (
	"testing"

	"agentctl/handler"
	"agentctl/handler/journal"
)

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
