package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"agentctl/agent/api"
)

const (
	barWidth = 30              // of the bar, in characters
	barLines = 2 * time.Second // between lines, where there is no terminal
)

// progress shows how far a replay is: on a terminal as a bar, which each call
// draws anew, elsewhere as a line now and then. A nil progress shows nothing.
type progress struct {
	out      io.Writer
	terminal bool

	begun time.Time // when it was shown first
	from  int       // events that were through then
	line  time.Time // the last one, or the beginning
	drawn int       // characters of the bar on the terminal
}

func newProgress(out io.Writer, terminal bool) *progress {
	return &progress{out: out, terminal: terminal}
}

// isTerminal tells whether f is shown to someone, not kept.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) show(r *api.ReplayReport, now time.Time) {
	if p == nil {
		return
	}
	done := r.Events - r.Waiting
	if p.begun.IsZero() {
		p.begun, p.from, p.line = now, done, now
	}
	text := through(r)
	if r.Buried > 0 {
		text += fmt.Sprintf(", %d buried", r.Buried)
	}
	if r.Lost > 0 {
		text += fmt.Sprintf(", %d lost", r.Lost)
	}
	if r.Outdated > 0 {
		text += fmt.Sprintf(", %d outdated", r.Outdated)
	}
	// An estimate needs something to go by.
	if took, since := now.Sub(p.begun), done-p.from; took >= time.Second && since > 0 && r.Waiting > 0 {
		rate := float64(since) / took.Seconds()
		left := time.Duration(float64(r.Waiting) / rate * float64(time.Second))
		text += fmt.Sprintf(", %.0f/s, %s left", rate, brief(left))
	}
	switch {
	case p.terminal:
		full := barWidth
		if r.Events > 0 {
			full = barWidth * done / r.Events
		}
		p.draw("[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + text)
	case now.Sub(p.line) >= barLines:
		p.line = now
		fmt.Fprintln(p.out, "agentctl replay:", text)
	}
}

// draw puts a line in the place of the one before.
func (p *progress) draw(line string) {
	n := utf8.RuneCountInString(line)
	fmt.Fprint(p.out, "\r"+line+strings.Repeat(" ", max(p.drawn-n, 0)))
	p.drawn = n
}

// end leaves the terminal at the beginning of a line.
func (p *progress) end() {
	if p != nil && p.drawn > 0 {
		fmt.Fprintln(p.out)
		p.drawn = 0
	}
}
