package logs

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// A live logger makes the lines that someone wants now: the output at its
// level, or a subscriber, as they come and go.
func TestLiveLoggerIsEnabledForWhoeverListens(t *testing.T) {
	h := newHub(t, Config{Level: slog.LevelInfo})
	live := h.LiveLogger().With("a", 1).WithGroup("g")
	least := func(when string, want slog.Level) {
		t.Helper()
		for l := LevelTrace - 1; l <= slog.LevelError; l++ {
			if got := live.Enabled(t.Context(), l); got != (l >= want) {
				t.Errorf("%s: level %v enabled: %v, want lines from %v", when, l, got, want)
			}
		}
		if !h.Logger().Enabled(t.Context(), LevelTrace) {
			t.Errorf("%s: the recent lines lack those of the other logger", when)
		}
	}
	ignore := func(string) {}
	least("at first", slog.LevelInfo)
	h.SetLevel(slog.LevelError) // a later subscriber gets the recent lines
	least("an output at ERR", slog.LevelInfo)
	endWarn := h.Subscribe(slog.LevelWarn, ignore)
	least("a subscriber at WARN", slog.LevelInfo)
	endDebug := h.Subscribe(slog.LevelDebug, ignore)
	least("another at DEBUG", slog.LevelDebug)
	endTrace := h.Subscribe(LevelTrace, ignore)
	least("another at TRACE", LevelTrace)
	endDebug()
	least("TRACE and WARN", LevelTrace)
	endTrace()
	least("WARN again", slog.LevelInfo)
	h.SetLevel(slog.LevelDebug)
	least("an output at DEBUG", slog.LevelDebug)
	endWarn()
	least("no subscriber", slog.LevelDebug)
	h.SetLevel(slog.LevelInfo)
	least("at last", slog.LevelInfo)
}

// took logs as a delivery does.
func took(l *slog.Logger) {
	if l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug("target took an event", "event", "1-2", "type", "user", "name", "kong", "attempt", 1, "status", 200, "size", 1000)
	}
}

func TestLineThatNobodyWantsCostsNothing(t *testing.T) {
	h := newHub(t, Config{Level: slog.LevelInfo})
	live := h.LiveLogger().With("target", "gw")
	var got []string
	h.Logger().Debug("kept all the same")
	if n := testing.AllocsPerRun(10*recent, func() { took(live) }); n != 0 {
		t.Errorf("%v allocations with no subscriber", n)
	}
	end := h.Subscribe(slog.LevelInfo, func(line string) { got = append(got, line) })
	if n := testing.AllocsPerRun(100, func() { took(live) }); n != 0 {
		t.Errorf("%v allocations with a subscriber at INFO", n)
	}
	end()
	if len(got) != 1 || !strings.Contains(got[0], "kept all the same") {
		t.Errorf("the recent lines are %q, want the one that is not of the live logger", got)
	}
	defer h.Subscribe(slog.LevelDebug, func(line string) { got = append(got, line) })()
	took(live)
	if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, "target=gw event=1-2") }) {
		t.Errorf("a subscriber at DEBUG got %q, without the line", got)
	}
}

// BenchmarkLineThatNobodyWants compares the two loggers, with an output at INFO.
func BenchmarkLineThatNobodyWants(b *testing.B) {
	h := New(Config{Out: io.Discard, Level: slog.LevelInfo})
	defer h.Close()
	for name, l := range map[string]*slog.Logger{"kept": h.Logger(), "live": h.LiveLogger()} {
		l := l.With("target", "gw")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				took(l)
			}
		})
	}
}
