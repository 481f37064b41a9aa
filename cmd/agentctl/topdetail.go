package main

import (
	"fmt"
	"strings"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

// detail shows the node or target that is opened, from the line on to which it was scrolled.
func (t *top) detail(f *frame, room int) {
	d := &frame{width: f.width}
	if row := t.openedRow(f.width); row == nil {
		d.add(0, word(t.opened.node)+": it is no member any more, or says nothing of this target")
	} else {
		t.all(d, row)
	}
	t.page = max(room, 1)
	t.scrolled = max(min(t.scrolled, len(d.lines)-room), 0)
	f.lines = append(f.lines, d.lines[t.scrolled:min(len(d.lines), t.scrolled+room)]...)
}

// openedRow is the row of what is opened; nil if there is none any more.
func (t *top) openedRow(width int) *topRow {
	for i := range t.members() {
		m := &t.report.Members[i]
		if m.Node != t.opened.node {
			continue
		}
		if t.opened.target == "" {
			row := nodeRow(m, &t.past, t.report.Time, width)
			return &row
		}
		for _, row := range targetRows(m, &t.past, t.report.Time, width) {
			if row.rowKey == *t.opened {
				return &row
			}
		}
	}
	return nil
}

func (t *top) members() []api.MemberReport {
	if t.report == nil {
		return nil
	}
	return t.report.Members
}

// all is all of a row: what is wrong, a node's targets, its columns below each other, and long
// bars.
func (t *top) all(f *frame, row *topRow) {
	for _, problem := range t.problems(row) {
		f.add(screen.Red, wrapped(problem, f.width)...)
	}
	t.targetsOf(f, row)
	names := nodeNames()
	if row.target != nil {
		names = targetNames()
	}
	of, n := t.past.of(row.rowKey), max(min(maxPast, f.width-24), 1)
	for i, name := range names {
		lines := wrapped(row.cells[i].text, f.width-11)
		switch name {
		case "RATE":
			lines = []string{perSecond(last(of.rates)) + "  " + strings.TrimSpace(bars(of.rates, n))}
		case "P99":
			lines = []string{latency(last(of.p99)) + "  " + strings.TrimSpace(bars(of.p99, n))}
		}
		for at, line := range lines {
			if at > 0 {
				name = ""
			}
			f.add(0, fmt.Sprintf("%-10s %s", name, line))
		}
	}
}

// targetsOf is the table of the targets of a node.
func (t *top) targetsOf(f *frame, row *topRow) {
	if row.target != nil || row.member.Says == nil || len(row.member.Says.Targets) == 0 {
		return
	}
	rows := targetRows(row.member, &t.past, t.report.Time, f.width)
	columns := columnsOf(targetNames()[1:], f.width)
	cells := make([][]topCell, len(rows))
	for i := range rows {
		cells[i] = rows[i].cells[1:] // without the node
	}
	shown, widths := layout(columns, cells, -1, f.width)
	f.add(screen.Bold, headerRow(columns, shown, widths, -1, false))
	for i, row := range rows {
		style := screen.Style(0)
		if !row.well() {
			style = screen.Red
		}
		f.add(style, tableRow(cells[i], shown, widths))
	}
	f.add(0, "")
}
