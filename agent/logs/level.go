package logs

import (
	"fmt"
	"log/slog"
	"strings"
)

// LevelTrace is serf's TRACE, below slog's debug.
const LevelTrace = slog.LevelDebug - 4

var levels = []struct {
	name  string
	level slog.Level
}{
	{"TRACE", LevelTrace},
	{"DEBUG", slog.LevelDebug},
	{"INFO", slog.LevelInfo},
	{"WARN", slog.LevelWarn},
	{"ERR", slog.LevelError},
}

// ParseLevel takes one of serf's level names in any case; ERROR and WARNING
// are taken as well.
func ParseLevel(s string) (slog.Level, error) {
	name := strings.ToUpper(s)
	switch name {
	case "ERROR":
		name = "ERR"
	case "WARNING":
		name = "WARN"
	}
	for _, l := range levels {
		if l.name == name {
			return l.level, nil
		}
	}
	return 0, fmt.Errorf("unknown log level %q: want trace, debug, info, warn or err", s)
}

// levelName is serf's name of the highest level that is not above l.
func levelName(l slog.Level) string {
	name := levels[0].name
	for _, known := range levels {
		if l >= known.level {
			name = known.name
		}
	}
	return name
}

// cutLevel takes the level off a line of serf's or memberlist's. Syslog and our own log
// have it elsewhere.
func cutLevel(line string) (text string, ok bool) {
	rest, ok := strings.CutPrefix(line, "[")
	name, after, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		return line, false
	}
	if _, err := ParseLevel(name); err != nil {
		return line, false
	}
	return strings.TrimPrefix(after, " "), true
}

// splitLine takes a line of serf's or memberlist's apart:
// "[WARN] serf: text" gives warn, "serf", "text".
func splitLine(line string) (level slog.Level, component, text string) {
	level, text = slog.LevelInfo, line
	if bare, ok := cutLevel(line); ok {
		name, _, _ := strings.Cut(line[1:], "]")
		level, _ = ParseLevel(name)
		text = bare
	}
	if name, after, ok := strings.Cut(text, ": "); ok && !strings.ContainsAny(name, " \t") {
		component, text = name, after
	}
	return level, component, text
}
