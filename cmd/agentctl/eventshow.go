package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"agentctl/agent/api"
)

// show shows all of one event.
func (c *eventsCommand) show(ctx context.Context, args []string, out io.Writer) error {
	fs := newFlags("events show")
	ops := addOpsFlags(fs)
	raw := fs.Bool("raw", false, "")
	everywhere := fs.Bool("nodes", false, "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return &usageError{"one ID is needed, after the flags; \"agentctl events\" lists them"}
	}
	id := fs.Arg(0)
	if !isEventID(id) { // some others would be other requests
		return &usageError{fmt.Sprintf("%q is no event's ID, such as 5-0f4b3224a0bfdf43; \"agentctl events\" lists them", id)}
	}
	if *raw && *everywhere {
		return &usageError{"-raw and -nodes are given: give one of them"}
	}
	client, err := ops.client()
	if err != nil {
		return err
	}
	if *everywhere {
		return c.showNodes(ctx, client, id, ops.json(), out)
	}
	var e api.EventReport
	if err := client.get(ctx, "/v1/events/"+id, &e); err != nil {
		return err
	}
	switch {
	case *raw:
		_, err = out.Write(e.Bytes())
	case ops.json():
		err = writeLine(out, &e)
	default:
		_, err = io.WriteString(out, showEvent(&e))
	}
	return err
}

// showNodes shows what became of an event at each node.
func (c *eventsCommand) showNodes(ctx context.Context, client *opsClient, id string, json bool, out io.Writer) error {
	report, err := nodesOf(ctx, client, id, time.Time{})
	if err != nil {
		return err
	}
	if json {
		return writeLine(out, report)
	}
	fmt.Fprintf(out, "%s\n\n", nodesSummary(&report))
	return writeNodes(out, &report, true)
}

// isEventID tells whether a text may be an ID: LTIME-HASH, or m-LIFE-NUMBER of
// a member event.
func isEventID(id string) bool {
	strange := func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return id != "" && strings.IndexFunc(id, strange) < 0
}

// showEvent is an event in full, and safe for a terminal.
func showEvent(e *api.EventReport) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-8s %s\n", key, fmt.Sprintf(format, args...))
	}
	line("id", "%s", word(e.ID))
	line("event", "%s", eventName(e))
	if e.LTime > 0 {
		line("ltime", "%d", e.LTime)
	}
	line("number", "%d in this agent's journal", e.Seq)
	line("time", "%s", timestamp(e.Time))
	line("payload", "%s", count(e.Size, "byte"))
	for _, name := range slices.Sorted(maps.Keys(e.Targets)) {
		o := e.Targets[name]
		line("target", "%s: %s", word(name), outcomeLine(e, o))
		if o.Reason != "" {
			line("", "  reason: %s", printable([]byte(o.Reason), 1000))
		}
		if o.Answer != "" {
			line("", "  answer: %s", printable([]byte(strings.TrimSpace(o.Answer)), 4<<10))
		}
	}
	if len(e.Targets) == 0 {
		line("target", "none: no filter picked it")
	}
	if e.Size > 0 {
		b.WriteString("\n    " + indented(strings.TrimRight(string(e.Bytes()), "\n")) + "\n")
	}
	return b.String()
}

func outcomeLine(e *api.EventReport, o api.OutcomeReport) string {
	s := word(string(o.State))
	if !o.Time.IsZero() {
		s += " " + timestamp(o.Time) + ", after " + age(e.Time, o.Time)
	}
	if o.Status != 0 {
		s += fmt.Sprintf(", answered %d %s", o.Status, http.StatusText(o.Status))
	}
	if o.Into != "" {
		s += ", joined to " + word(o.Into)
	}
	return s
}
