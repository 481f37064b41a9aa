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

// splitLine takes a line of serf's or memberlist's apart:
// "[WARN] serf: text" gives warn, "serf", "text".
func splitLine(line string) (level slog.Level, component, text string) {
	level, text = slog.LevelInfo, line
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if name, after, ok := strings.Cut(rest, "]"); ok {
			if l, err := ParseLevel(name); err == nil {
				level, text = l, strings.TrimPrefix(after, " ")
			}
		}
	}
	if name, after, ok := strings.Cut(text, ": "); ok && !strings.ContainsAny(name, " \t") {
		component, text = name, after
	}
	return level, component, text
}
