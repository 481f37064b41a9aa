package testkit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// LogBuffer keeps a log. It is safe for concurrent use.
type LogBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is for a logger.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns the whole log. In a bubble of synctest it first waits until all other
// goroutines wait for something: a line is written after the state that it speaks of.
func (b *LogBuffer) String() string {
	settle()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// settle is synctest.Wait, which panics outside of a bubble, and beside another one.
func settle() {
	defer func() { _ = recover() }()
	synctest.Wait()
}

// Count is the number of lines that hold all parts.
func (b *LogBuffer) Count(parts ...string) int {
	n := 0
lines:
	for l := range strings.Lines(b.String()) {
		for _, p := range parts {
			if !strings.Contains(l, p) {
				continue lines
			}
		}
		n++
	}
	return n
}

// NewLog returns a logger of all levels, and the text that it writes.
func NewLog() (*slog.Logger, *LogBuffer) {
	b := new(LogBuffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b
}

// Logger returns a logger of level info and above that writes JSON, for Lines and
// With.
func (b *LogBuffer) Logger() *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }

// Lines reads a log in JSON.
func (b *LogBuffer) Lines(t testing.TB) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(b.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// With returns the lines of a log in JSON whose message contains a text.
func (b *LogBuffer) With(t testing.TB, text string) (lines []map[string]any) {
	t.Helper()
	for _, line := range b.Lines(t) {
		if strings.Contains(line["msg"].(string), text) {
			lines = append(lines, line)
		}
	}
	return lines
}
