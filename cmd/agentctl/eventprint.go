package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"agentctl/agent/api"
)

// payloadShown is how much of a payload a line shows, in bytes.
const payloadShown = 60

// eventPrinter prints events, a line each: as JSON, or as rows of a table whose
// columns grow with what is in them, so that rows may come one by one.
type eventPrinter struct {
	out    io.Writer
	json   bool
	begun  bool
	widths []int
}

var eventColumns = []string{"TIME", "ID", "EVENT", "SIZE", "TARGETS", "PAYLOAD"}

func newEventPrinter(out io.Writer, json bool) *eventPrinter {
	return &eventPrinter{out: out, json: json, widths: make([]int, len(eventColumns))}
}

// print prints events that come together.
func (p *eventPrinter) print(events ...api.EventReport) error {
	if p.json {
		for i := range events {
			if err := writeLine(p.out, &events[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(events) == 0 {
		return nil
	}
	var rows [][]string
	if !p.begun {
		rows, p.begun = append(rows, eventColumns), true
	}
	for i := range events {
		e := &events[i]
		rows = append(rows, []string{timestamp(e.Time), word(e.ID), eventName(e), fmt.Sprint(e.Size),
			targetStates(e.Targets), printable(e.Bytes(), payloadShown)})
	}
	for _, row := range rows {
		for i, cell := range row {
			p.widths[i] = max(p.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", p.widths[i]-utf8.RuneCountInString(cell))
			switch {
			case eventColumns[i] == "SIZE": // a number
				line.WriteString(pad + cell + "  ")
			case i == len(row)-1:
				line.WriteString(cell)
			default:
				line.WriteString(cell + pad + "  ")
			}
		}
		if _, err := fmt.Fprintln(p.out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// eventName is an event's type, and the name of those that have one, as in the
// filter that picks it.
func eventName(e *api.EventReport) string {
	if e.Name == "" {
		return word(string(e.Type))
	}
	return word(string(e.Type) + ":" + e.Name)
}

// targetStates is what became of an event: its state where all targets agree,
// else the states with the targets of each.
func targetStates(targets map[string]api.OutcomeReport) string {
	by := map[api.OutcomeState][]string{}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		state := targets[name].State
		by[state] = append(by[state], word(name))
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(by)) {
		if len(by) == 1 {
			return word(string(state))
		}
		parts = append(parts, fmt.Sprintf("%s(%s)", word(string(state)), strings.Join(by[state], ",")))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ",")
}
