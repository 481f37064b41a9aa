package testkit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// LogLines collects a log as JSON lines. It is safe for concurrent use.
type LogLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is for a logger.
func (l *LogLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String returns all lines.
func (l *LogLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger returns a logger whose lines of level info and above are collected.
func (l *LogLines) Logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// With returns the lines whose message contains text.
func (l *LogLines) With(t testing.TB, text string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var got []map[string]any
	for line := range bytes.Lines(l.buf.Bytes()) {
		m := map[string]any{}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if strings.Contains(m["msg"].(string), text) {
			got = append(got, m)
		}
	}
	return got
}
