package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Check reads the journal in a directory that no agent works on, and changes nothing.
// The error is an *InUseError; a *CorruptError, with a Report of the part that can be
// read; or an error of the file system.
func Check(dir string) (Report, error) {
	path := filepath.Join(dir, journalFile)
	if _, err := os.Stat(path); err != nil {
		return Report{Path: path}, fmt.Errorf("no journal: %w", err)
	}
	lock, err := peekLock(dir)
	if err != nil {
		return Report{Path: path}, err
	}
	if lock != nil {
		defer unlockDir(lock)
	}
	c, size, err := readFile(path)
	if err != nil {
		return Report{Path: path}, err
	}
	r := c.report(path, size)
	if c.version != nil {
		return r, fmt.Errorf("journal %s: %w", path, c.version)
	}
	if len(c.problems) > 0 {
		return r, &CorruptError{path, c.problems}
	}
	return r, nil
}

// Report is the result of Check.
type Report struct {
	Path  string `json:"path"`  // of the file
	Bytes int64  `json:"bytes"` // its size

	Events  int            `json:"events"` // that can be read
	First   uint64         `json:"first"`  // the sequence numbers of the first and last of them
	Last    uint64         `json:"last"`
	Head    uint64         `json:"head"`  // the newest sequence number that was given
	LTime   uint64         `json:"ltime"` // the highest Lamport time of a user event
	Targets []TargetReport `json:"targets"`

	// Torn says that the last commit was not finished, or that its head rotted.
	// The journal is that of the commit before.
	Torn bool `json:"torn"`
	// Problems has a line for each damage, and at most 100.
	Problems []string `json:"problems,omitempty"`
}

// TargetReport tells how a target's cursor stands.
type TargetReport struct {
	Name     string    `json:"name"`
	Filters  string    `json:"filters"`
	Waiting  int       `json:"waiting"`
	Buried   int       `json:"buried"`
	Lost     uint64    `json:"lost"`
	GapSince time.Time `json:"gap_since,omitzero"` // zero: there is no gap
}

// report sums up the contents.
func (c *contents) report(path string, size int64) Report {
	r := Report{
		Path: path, Bytes: size, Torn: c.torn, Problems: c.problems,
		Events: len(c.Entries), Head: c.Header.Head, LTime: c.Header.LTime,
	}
	if n := len(c.Entries); n > 0 {
		r.First, r.Last = c.Entries[0].Seq, c.Entries[n-1].Seq
	}
	for name, t := range c.Targets {
		tr := TargetReport{Name: name, Buried: len(t.Buried)}
		if s := t.Cursor; s != nil {
			tr.Filters, tr.Lost, tr.GapSince = s.Filters().String(), s.Lost, s.Gap.Since
			tr.Waiting = len(c.Waiting(t))
		}
		r.Targets = append(r.Targets, tr)
	}
	slices.SortFunc(r.Targets, func(a, b TargetReport) int { return strings.Compare(a.Name, b.Name) })
	return r
}
