package logs

import (
	"log/slog"
	"strings"
	"testing"
)

func TestParseLevel(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want slog.Level
	}{
		{"trace", LevelTrace},
		{"TRACE", LevelTrace},
		{"Debug", slog.LevelDebug},
		{"info", slog.LevelInfo},
		{"warn", slog.LevelWarn},
		{"WARNING", slog.LevelWarn},
		{"err", slog.LevelError}, // as Kong writes it
		{"error", slog.LevelError},
	} {
		got, err := ParseLevel(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseLevel(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "loud", "INFO ", "warnings"} {
		_, err := ParseLevel(in)
		if err == nil {
			t.Errorf("ParseLevel(%q) takes it", in)
		} else if !strings.Contains(err.Error(), "want trace, debug, info, warn or err") {
			t.Errorf("ParseLevel(%q): %v: names no level that there is", in, err)
		}
	}
}

func TestLevelName(t *testing.T) {
	for level, want := range map[slog.Level]string{
		-100:               "TRACE",
		LevelTrace:         "TRACE",
		LevelTrace + 1:     "TRACE",
		slog.LevelDebug:    "DEBUG",
		slog.LevelInfo:     "INFO",
		slog.LevelInfo + 2: "INFO",
		slog.LevelWarn:     "WARN",
		slog.LevelError:    "ERR",
		100:                "ERR",
	} {
		if got := levelName(level); got != want {
			t.Errorf("levelName(%d) = %s, want %s", level, got, want)
		}
	}
}

func TestSplitLine(t *testing.T) {
	for _, tt := range []struct {
		line      string
		level     slog.Level
		component string
		text      string
	}{
		{"[WARN] serf: text", slog.LevelWarn, "serf", "text"},
		{"[ERR] memberlist: Failed: dial tcp: refused", slog.LevelError, "memberlist", "Failed: dial tcp: refused"},
		{"[DEBUG] no component here", slog.LevelDebug, "", "no component here"},
		{"[INFO] two words: text", slog.LevelInfo, "", "two words: text"},
		{"[error] serf: x", slog.LevelError, "serf", "x"},
		{"[TRACE]serf: x", LevelTrace, "serf", "x"},
		{"[NOISE] serf: x", slog.LevelInfo, "", "[NOISE] serf: x"},
		{"[WARN", slog.LevelInfo, "", "[WARN"},
		{"mdns: x", slog.LevelInfo, "mdns", "x"},
		{"", slog.LevelInfo, "", ""},
		{"[INFO]", slog.LevelInfo, "", ""},
	} {
		level, component, text := splitLine(tt.line)
		if level != tt.level || component != tt.component || text != tt.text {
			t.Errorf("splitLine(%q) = %v, %q, %q, want %v, %q, %q", tt.line,
				level, component, text, tt.level, tt.component, tt.text)
		}
	}
}

// FuzzSplitLine: a line is only taken apart, nothing of its text gets lost.
func FuzzSplitLine(f *testing.F) {
	f.Add("[WARN] serf: text")
	f.Add("[ERR]memberlist:x: y")
	f.Add("[] : ")
	f.Add("[[INFO]] a: b")
	f.Fuzz(func(t *testing.T, line string) {
		level, component, text := splitLine(line)
		if _, err := ParseLevel(levelName(level)); err != nil {
			t.Errorf("level %v: %v", level, err)
		}
		rest := text
		if component != "" {
			rest = component + ": " + text
		}
		if !strings.HasSuffix(line, rest) {
			t.Errorf("%q became %q and %q", line, component, text)
		}
		if strings.ContainsAny(component, " \t") {
			t.Errorf("component %q is not one word", component)
		}
	})
}
