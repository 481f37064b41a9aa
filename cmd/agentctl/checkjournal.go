package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"agentctl/handler/journal/disk"
)

// journalCheck is what "agentctl check -data-dir" found.
type journalCheck struct {
	disk.Report
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"` // why it could not be read
}

// checkJournal reads the journal in a directory that no agent works on.
func checkJournal(dir string) *journalCheck {
	report, err := disk.Check(dir)
	c := &journalCheck{Report: report, OK: err == nil}
	if c.Targets == nil {
		c.Targets = []disk.TargetReport{} // a list in JSON, too
	}
	if _, damaged := errors.AsType[*disk.CorruptError](err); err != nil && !damaged {
		c.Error = err.Error()
	}
	if _, ok := errors.AsType[*disk.InUseError](err); ok {
		c.Error += "; \"agentctl status\" shows the journal of an agent that runs"
	}
	return c
}

// exit is the exit status: damage is another thing than what cannot be read.
func (c *journalCheck) exit() int {
	switch {
	case c.OK:
		return 0
	case c.Error != "":
		return 1
	}
	return exitConfig
}

// print writes the report, and to errs what is wrong.
func (c *journalCheck) print(out, errs io.Writer) error {
	if c.Error != "" {
		_, err := fmt.Fprintf(errs, "agentctl check: %s\n", c.Error)
		return err
	}
	fmt.Fprintf(out, "journal   %s, %d bytes\n", c.Path, c.Bytes)
	events := fmt.Sprintf("events    %d", c.Events)
	if c.Events > 0 {
		events += fmt.Sprintf(", numbers %d to %d", c.First, c.Last)
	}
	fmt.Fprintf(out, "%s; the newest ever is %d, the highest Lamport time %d\n", events, c.Head, c.LTime)
	if len(c.Targets) > 0 {
		fmt.Fprintln(out)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TARGET\tWAITING\tBURIED\tLOST\tLOST SINCE\tEVENTS")
		for _, t := range c.Targets {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", word(t.Name), t.Waiting, t.Buried, t.Lost, timestamp(t.GapSince), printable([]byte(t.Filters), 200))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if c.Torn {
		fmt.Fprintln(out, "warning: the last commit was not finished, or is damaged: an agent goes on from the one before")
	}
	for _, p := range c.Problems {
		fmt.Fprintf(errs, "agentctl check: %s: %s\n", c.Path, p)
	}
	if c.OK {
		_, err := fmt.Fprintln(out, "the journal is sound")
		return err
	}
	_, err := fmt.Fprintf(errs, "agentctl check: what could be read is above, and nothing was changed: restore the file, or move %s (nothing else) away to begin a new one: what waited in it is lost then, and an agent flushes each target once\n", c.Path)
	return err
}
