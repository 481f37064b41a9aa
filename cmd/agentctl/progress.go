package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	barWidth = 30              // of the bar, in characters
	barLines = 2 * time.Second // between lines, where there is no terminal
)

// progress shows how far a command is: on a terminal as a bar, which each call
// draws anew, elsewhere as a line now and then. A nil progress shows nothing.
type progress struct {
	out      io.Writer
	terminal bool
	name     string // of the command

	begun time.Time // when it was shown first
	from  step      // how far it was then
	line  time.Time // the last one, or the beginning
	drawn int       // characters of the bar on the terminal
}

// step is how far a command is.
type step struct {
	text     string
	events   int
	done, of int // of what the bar measures; of is 0 if nobody knows
}

func newProgress(out io.Writer, terminal bool, name string) *progress {
	return &progress{out: out, terminal: terminal, name: name}
}

// isTerminal tells whether f is shown to someone, not kept.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) show(s step, now time.Time) {
	if p == nil {
		return
	}
	if p.begun.IsZero() {
		p.begun, p.from, p.line = now, s, now
	}
	// A rate and an estimate need something to go by.
	took, events, left := now.Sub(p.begun), s.events-p.from.events, s.of-s.done
	if took >= time.Second && events > 0 && (left > 0 || s.of == 0) {
		s.text += fmt.Sprintf(", %.0f/s", float64(events)/took.Seconds())
		if done := s.done - p.from.done; left > 0 && done > 0 {
			s.text += fmt.Sprintf(", %s left", brief(time.Duration(float64(took)*float64(left)/float64(done))))
		}
	}
	switch {
	case p.terminal && s.of == 0:
		p.draw(s.text)
	case p.terminal:
		full := barWidth * s.done / s.of
		p.draw("[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + s.text)
	case now.Sub(p.line) >= barLines:
		p.line = now
		fmt.Fprintf(p.out, "agentctl %s: %s\n", p.name, s.text)
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
