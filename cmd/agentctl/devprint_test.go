package main

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"agentctl/handler"
)

// A dev cluster prints what whoever reaches it publishes, and what gateways answer. Each
// of its lines is its own, and has nothing in it that a terminal acts on.
func TestDevLinesAreSafe(t *testing.T) {
	const hostile = "evil\x1b[31m\nforged\u202e\u009b7m"
	var out strings.Builder
	p := newDevPrinter(&out, 1)
	p.onPublished("node-1", hostile, []byte(hostile))
	p.onAttempt("node-1", handler.Event{Type: handler.User, Name: hostile, ID: hostile}, errors.New(hostile))
	p.onApplied("node-1", devApplied{kind: hostile, eventName: hostile, eventID: hostile, body: []byte(hostile), key: hostile, dropped: 1, workers: 1})
	p.onApplied("node-1", devApplied{kind: hostile})
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "forged") || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", line)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 6 {
		t.Errorf("%d lines, want 6: %s", n, out.String())
	}
}
