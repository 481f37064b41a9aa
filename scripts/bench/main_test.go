//go:build linux

package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestWrongArguments(t *testing.T) {
	for args, want := range map[string]string{
		"-only=latency,nothing": `no part "nothing"`,
		"again":                 `unknown argument "again"`,
		"-peers=nats,kafka":     `there is no "kafka"`,
		"-peers=redis":          `run scripts/bench.sh`,
	} {
		if err := run(t.Context(), []string{args}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// TestDue has a steady stream end on time, with no error that adds up.
func TestDue(t *testing.T) {
	if got := due(7_499, 2_500); got != 2_999_600*time.Microsecond {
		t.Errorf("event 7499 of 2500 a second is due after %v", got)
	}
	if got := due(500, 0); got != 0 {
		t.Errorf("an event of a burst is due after %v", got)
	}
	if got := due(20, 3); got < 6666*time.Millisecond || got > 6667*time.Millisecond {
		t.Errorf("event 20 of 3 a second is due after %v", got)
	}
}
