package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestOutputAsText(t *testing.T) {
	var out output
	h := New(Config{Out: &out, Level: slog.LevelInfo})
	h.Logger().With("target", "a b").WithGroup("g").Warn("took long", "n", 3)
	h.StdLogger().Print("[ERR] serf: it \"broke\"")
	h.StdLogger().Print("[DEBUG] serf: not shown")
	h.Logger().Debug("not shown either")
	h.SetLevel(LevelTrace)
	h.StdLogger().Print("[TRACE] memberlist: shown now")
	h.Close()
	stamp := regexp.MustCompile(`^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) `)
	var got []string
	for _, l := range out.lines() {
		if !stamp.MatchString(l) {
			t.Errorf("no time at the start of %q", l)
		}
		got = append(got, stamp.ReplaceAllString(l, ""))
	}
	want := []string{
		`level=WARN msg="took long" target="a b" g.n=3`,
		`level=ERR msg="it \"broke\"" component=serf`,
		`level=TRACE msg="shown now" component=memberlist`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestOutputAsJSON(t *testing.T) {
	var out output
	h := New(Config{Out: &out, Format: "json", Level: slog.LevelInfo})
	h.Logger().Info("joined", "contacted", 2)
	h.StdLogger().Print("[WARN] serf: EventMemberJoin: b")
	h.Close()
	var got []map[string]any
	for _, l := range out.lines() {
		var m map[string]any
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z07:00", m["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(m, "time")
		got = append(got, m)
	}
	want := []map[string]any{
		{"level": "INFO", "msg": "joined", "contacted": 2.0},
		{"level": "WARN", "msg": "EventMemberJoin: b", "component": "serf"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestSyslogGetsWhatTheOutputGets(t *testing.T) {
	var out output
	var syslog []string
	h := New(Config{Out: &out, Level: slog.LevelWarn, Syslog: func(level slog.Level, text string) {
		syslog = append(syslog, levelName(level)+" "+text)
	}})
	h.StdLogger().Print("[WARN] serf: one")
	h.Logger().Error("two", "n", 2)
	h.Logger().Info("not this one")
	h.StdLogger().Print("[DEBUG] serf: nor this")
	h.SetLevel(slog.LevelInfo)
	h.StdLogger().Print("without a level")
	h.Close()
	want := []string{"WARN [WARN] serf: one", "ERR [ERR] two: n=2", "INFO [INFO] without a level"}
	if diff := cmp.Diff(want, syslog); diff != "" {
		t.Errorf("syslog (-want +got):\n%s", diff)
	}
	if n := len(out.lines()); n != 3 {
		t.Errorf("the output has %d lines, want 3", n)
	}
}

func TestSubscriberGetsRecentThenNewLines(t *testing.T) {
	h := newHub(t, Config{Level: slog.LevelError})
	std := h.StdLogger()
	for i := range recent + 10 {
		std.Printf("[TRACE] serf: line %d", i)
	}
	var got []string
	cancel := h.Subscribe(LevelTrace, func(line string) { got = append(got, line) })
	h.Logger().With("a", 1).WithGroup("g").Debug("ours", "b", "x y")
	std.Print("[DEBUG] serf: last\n")
	cancel()
	std.Print("[ERR] serf: after the end")

	stamp := regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d `)
	want := []string{}
	for i := range recent {
		want = append(want, fmt.Sprintf("[TRACE] serf: line %d", i+10))
	}
	want = append(want, `[DEBUG] agent: ours: a=1 g.b="x y"`, "[DEBUG] serf: last")
	for i, l := range got {
		if !stamp.MatchString(l) {
			t.Errorf("no time at the start of %q", l)
		}
		got[i] = stamp.ReplaceAllString(l, "")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// Who sends events must not be able to write log lines of his own.
func TestALineStaysOneLine(t *testing.T) {
	var out output
	var got, syslog []string
	h := New(Config{Out: &out, Syslog: func(_ slog.Level, text string) { syslog = append(syslog, text) }})
	h.Subscribe(LevelTrace, func(line string) { got = append(got, line) })
	h.StdLogger().Print("[INFO] serf: event: x\n2026/01/01 00:00:00 [ERR] agent: forged\r\x1b[31m\u009b0m\n")
	h.Logger().Info("a\nb\x1b[0m", "name", "c\nd\a")
	h.Close()
	for _, lines := range [][]string{got, out.lines(), syslog} {
		if len(lines) != 2 {
			t.Errorf("2 entries became %d lines: %q", len(lines), lines)
		}
		if all := strings.Join(lines, ""); strings.ContainsAny(all, "\n\r\x1b\a\u009b") || !strings.Contains(all, "forged") {
			t.Errorf("want escaped control characters and all of the text, got %q", all)
		}
	}
}

func TestStuckOutputBlocksNobodyAndLossIsTold(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			out := newStuck()
			h := New(Config{Out: out, Format: format})
			logger := h.Logger()
			seen := 0
			h.Subscribe(LevelTrace, func(string) { seen++ })
			logger.Info("first")
			<-out.began // and is now held in Write
			const extra = 100
			for range queued + extra {
				logger.Info("line")
			}
			if h.Lost() != extra {
				t.Errorf("Lost() = %d, want %d", h.Lost(), extra)
			}
			if seen != 1+queued+extra {
				t.Errorf("the subscriber got %d lines, want all %d", seen, 1+queued+extra)
			}
			close(out.open)
			h.Close()
			lines := out.lines()
			if want := 1 + queued + 1; len(lines) != want {
				t.Fatalf("%d lines were written, want %d", len(lines), want)
			}
			told := lines[1]
			if format == "json" {
				var m struct {
					Level, Msg string
					Lines      int
				}
				if err := json.Unmarshal([]byte(told), &m); err != nil || m.Lines != extra || m.Level != "WARN" || !strings.Contains(m.Msg, "lost") {
					t.Errorf("told %q (%v), want %d lost lines", told, err, extra)
				}
			} else if !strings.Contains(told, "log lines lost") || !strings.HasSuffix(told, fmt.Sprintf("lines=%d", extra)) {
				t.Errorf("told %q, want %d lost lines", told, extra)
			}
		})
	}
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newStuck()
		h := New(Config{Out: out})
		h.Logger().Info("stuck")
		synctest.Wait()
		start := time.Now()
		h.Close()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("Close took %v, want 5s", took)
		}
		h.Logger().Info("after the end")
		h.StdLogger().Print("[INFO] serf: after the end")
		close(out.open)
		h.Close() // the second time it is at its end at once
		if n := len(out.lines()); n != 1 {
			t.Errorf("%d lines were written, want 1: %q", n, out.lines())
		}
		if h.Lost() != 0 {
			t.Errorf("Lost() = %d after Close, want 0", h.Lost())
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	const writers, lines = 8, 400
	var out output
	h := New(Config{Out: &out})
	var all []string
	h.Subscribe(LevelTrace, func(line string) { all = append(all, line) })
	churned := make(chan struct{})
	go func() {
		defer close(churned)
		for range 50 {
			n := 0
			stop := h.Subscribe(LevelTrace, func(string) { n++ })
			stop()
			h.SetLevel(slog.LevelDebug)
			h.Lost()
		}
	}()
	done := make(chan struct{})
	for w := range writers {
		go func() {
			defer func() { done <- struct{}{} }()
			logger, std := h.Logger().With("w", w), h.StdLogger()
			for i := range lines {
				if i%2 == 0 {
					logger.Info("x", "i", i)
				} else {
					std.Printf("[INFO] serf: x: w=%d i=%d", w, i)
				}
			}
		}()
	}
	for range writers {
		<-done
	}
	<-churned
	h.Close()
	place := regexp.MustCompile(`w=(\d+) i=(\d+)`)
	for what, got := range map[string][]string{"subscriber": all, "output": out.lines()} {
		next := map[string]int{}
		for _, l := range got {
			m := place.FindStringSubmatch(l)
			if m == nil {
				t.Fatalf("%s: torn line %q", what, l)
			}
			if want := fmt.Sprint(next[m[1]]); m[2] != want {
				t.Fatalf("%s: writer %s: got line %s, want %s", what, m[1], m[2], want)
			}
			next[m[1]]++
		}
		if len(got) != writers*lines {
			t.Errorf("%s got %d lines, want %d", what, len(got), writers*lines)
		}
	}
}

// No form of the log has anything in it that a terminal acts on or does not show, and
// in JSON it is still there.
func TestNothingInALineIsHidden(t *testing.T) {
	const hidden = "a\x1b[31m\x7f\u009b0m\u202e\u2066\u200b\ufeff\u00ad\U000e0041\u2028b"
	for _, format := range []string{"text", "json", "serf"} {
		t.Run(format, func(t *testing.T) {
			var out output
			h := New(Config{Out: &out, Format: format})
			h.StdLogger().Print("[INFO] serf: " + hidden)
			h.Logger().With("with", hidden).WithGroup("g").Info("said: "+hidden, "attr", hidden, "error", errors.New(hidden))
			h.Close()
			if n := len(out.lines()); n != 2 {
				t.Fatalf("2 entries became %d lines", n)
			}
			for _, l := range out.lines() {
				for _, r := range l {
					if !unicode.IsPrint(r) {
						t.Errorf("%U is in %q", r, l)
					}
				}
			}
			if format != "json" {
				return
			}
			var said struct{ With, Msg string }
			if err := json.Unmarshal([]byte(out.lines()[1]), &said); err != nil || said.With != hidden || said.Msg != "said: "+hidden {
				t.Errorf("%+q (%v)", said, err)
			}
		})
	}
}
