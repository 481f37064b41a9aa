package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// What follows each of a row of signals, with the time between them.
func TestWhatFollowsASignal(t *testing.T) {
	t.Parallel()
	type sent struct {
		after time.Duration
		sig   os.Signal
		want  nextAction
	}
	const term, hup = syscall.SIGTERM, syscall.SIGHUP
	interrupt := os.Interrupt
	for name, tt := range map[string]struct {
		leaveOnTerm, leaveOnInt bool
		sent                    []sent
	}{
		"agentctl":            {true, true, []sent{{0, hup, nextReload}, {0, term, nextLeave}, {0, hup, nextReload}}},
		"serf":                {false, true, []sent{{0, term, nextEnd}}},
		"an interrupt":        {false, true, []sent{{0, interrupt, nextLeave}}},
		"one without a leave": {false, false, []sent{{0, interrupt, nextEnd}}},
		"GNU timeout":         {true, true, []sent{{0, term, nextLeave}, {0, term, nextRepeat}, {sameSignal - 1, term, nextRepeat}}},
		"a later one":         {true, true, []sent{{0, term, nextLeave}, {sameSignal, term, nextExit}}},
		"another one":         {true, true, []sent{{0, term, nextLeave}, {0, interrupt, nextExit}}},
		"two interrupts":      {true, true, []sent{{0, interrupt, nextLeave}, {0, interrupt, nextExit}}},
		"an impatient user":   {true, true, []sent{{0, term, nextLeave}, {1, term, nextRepeat}, {sameSignal, term, nextExit}}},
	} {
		m := signalMemory{leaveOnTerm: tt.leaveOnTerm, leaveOnInt: tt.leaveOnInt}
		now := time.Unix(1, 0)
		for i, s := range tt.sent {
			now = now.Add(s.after)
			if got := m.next(s.sig, now); got != s.want {
				t.Errorf("%s: behind signal %d, %v, follows %q, want %q", name, i, s.sig, got, s.want)
			}
		}
	}
}
