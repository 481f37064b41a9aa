package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

// lateAnswer is after which time the screen says that the agent has not answered yet. It
// waits for its members for up to 3 s.
const lateAnswer = 4 * time.Second

// view is the frame for a screen of this size.
func (t *top) view(width, height int, now time.Time) []screen.Line {
	f := &frame{width: width}
	t.head(f, now)
	room := max(height-len(f.lines)-1, 0)
	switch {
	case t.help:
		f.add(0, strings.Split(topKeys, "\n")...)
	case t.opened != nil:
		t.detail(f, room)
	case t.report != nil:
		t.table(f, room)
	}
	f.lines = f.lines[:min(len(f.lines), max(height-1, 0))]
	for len(f.lines) < height-1 {
		f.add(0, "")
	}
	f.add(screen.Bold, t.foot())
	return f.lines
}

// frame is lines that are being collected.
type frame struct {
	width int
	lines []screen.Line
}

func (f *frame) add(style screen.Style, lines ...string) {
	for _, line := range lines {
		f.lines = append(f.lines, screen.Line{Text: screen.Clip(line, f.width), Style: style})
	}
}

// head says how the whole cluster is, and whether what is shown is old.
func (t *top) head(f *frame, now time.Time) {
	if t.report == nil {
		f.add(screen.Bold, "agentctl top: the agent at "+word(t.addr)+" is asked how the cluster is")
	} else {
		style := screen.Bold
		if t.report.NotWell > 0 {
			style |= screen.Red
		}
		f.add(style, wrapped(clusterSummary(t.report), f.width)...)
		if counts := split(t.report); counts != "" {
			f.add(screen.Red, wrapped(counts, f.width)...)
		}
		all := t.past.of(rowKey{})
		n := barWidthOf(f.width)
		f.add(0, fmt.Sprintf("delivered %s %s   slowest P99 %s %s   events here %s %s",
			bars(all.rates, n), perSecond(last(all.rates)), bars(all.p99, n), latency(last(all.p99)), bars(t.eventRates, n), perSecond(last(t.eventRates))))
	}
	notice := ""
	switch {
	case t.failed != "":
		notice = "cannot ask how the cluster is: " + printable([]byte(t.failed), 1000) + "; it is asked again"
	case !t.asked.IsZero() && now.Sub(t.asked) >= lateAnswer:
		notice = "the agent has not answered for " + brief(now.Sub(t.asked))
	}
	if notice != "" && t.report != nil {
		notice += "; what is shown is of " + t.report.Time.In(t.zone).Format(time.TimeOnly)
	}
	if notice != "" {
		f.add(screen.Yellow, wrapped(notice, f.width)...)
	}
	if t.eventFailed != "" && t.failed == "" { // one is enough
		f.add(screen.Yellow, wrapped("events are missing: "+printable([]byte(t.eventFailed), 1000), f.width)...)
	}
	f.add(0, "")
}

// split says how many members count how many, if they differ.
func split(r *api.ClusterReport) string {
	nodes := map[int]int{} // by how many members they count
	for _, m := range r.Members {
		if m.Says != nil {
			nodes[m.Says.Members["alive"]]++
		}
	}
	if len(nodes) < 2 {
		return ""
	}
	var parts []string
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(nodes))) {
		counted := " count "
		if nodes[n] == 1 {
			counted = " counts "
		}
		parts = append(parts, count(nodes[n], "node")+counted+count(n, "member"))
	}
	return "split, or a change is on its way: " + strings.Join(parts, ", ")
}

// table shows nodes or targets, what is wrong with the one that is selected, and the events.
func (t *top) table(f *frame, room int) {
	events := min(room/3, 12)
	if events < 3 {
		events = 0
	}
	rows := t.rows(f.width)
	noted := 1 // lines for the problem
	if room >= 16 {
		noted = 3
	}
	t.page = max(room-events-noted-1, 1) // without the header
	at := t.at(rows)
	t.first = max(min(t.first, at, len(rows)-t.page), at-t.page+1, 0)

	columns := columnsOf(t.names(), f.width-2)
	cells := make([][]topCell, len(rows))
	for i := range rows {
		cells[i] = rows[i].cells
	}
	shown, widths := layout(columns, cells, t.by, f.width-2)
	t.shown = shown
	f.add(screen.Bold, "  "+headerRow(columns, shown, widths, t.by, t.reverse))
	for i := t.first; i < t.first+t.page; i++ {
		if i >= len(rows) {
			f.add(0, "")
			continue
		}
		mark, style := []byte("  "), screen.Style(0)
		if !rows[i].well() {
			mark[1], style = '!', screen.Red
		}
		if i == at {
			mark[0], style = '>', style|screen.Reverse
		}
		f.add(style, string(mark)+tableRow(rows[i].cells, shown, widths))
	}
	problem := ""
	if len(rows) == 0 && t.find != "" {
		problem = "nothing here has the text " + word(t.find)
	} else if len(rows) > 0 {
		if notes := t.problems(&rows[at]); len(notes) > 0 {
			problem = notes[0]
		}
	}
	notes := append(wrapped(problem, f.width), "", "")
	f.add(screen.Bold, notes[:noted]...)
	if events > 0 {
		t.eventTable(f, events)
	}
}

// problems say what is wrong with a node or target, and which command helps.
func (t *top) problems(r *topRow) []string {
	m := *r.member
	if r.target != nil {
		m.Problems = slices.Clone(m.Problems)
		m.Problems = slices.DeleteFunc(m.Problems, func(p api.Problem) bool { return p.Target != r.target.Target })
	}
	return clusterNotes(&api.ClusterReport{Node: t.report.Node, Members: []api.MemberReport{m}})
}

// eventTable shows the newest events in so many lines, with a header.
func (t *top) eventTable(f *frame, room int) {
	columns := []topColumn{
		{"TIME", 6, 0}, {"ID", 1, 0}, {"EVENT", 5, f.width / 4}, {"SIZE", 2, 0}, {"TARGETS HERE", 4, f.width / 3}, {"PAYLOAD", 3, f.width / 3},
	}
	events := t.events[max(len(t.events)-room+1, 0):]
	cells := make([][]topCell, len(events))
	for i, e := range events {
		cells[i] = e.cells
	}
	shown, widths := layout(columns, cells, -1, f.width-2)
	f.add(screen.Bold, "  "+headerRow(columns, shown, widths, -1, false))
	for _, e := range events {
		mark, style := "  ", screen.Style(0)
		if !e.well {
			mark, style = " !", screen.Red
		}
		f.add(style, mark+tableRow(e.cells, shown, widths))
	}
}

// foot names the keys, and what they have set.
func (t *top) foot() string {
	switch {
	case t.finding:
		return "find: " + t.find + "_   Enter keeps it, Esc ends it"
	case t.help:
		return "any key goes back, q quits"
	case t.opened != nil:
		return "Esc goes back   j k scroll   ? help   q quit"
	}
	by := "the worst"
	if t.by >= 0 {
		by = t.names()[t.by]
	}
	other, find := "targets", ""
	if t.targets {
		other = "nodes"
	}
	if t.find != "" {
		find = ": " + t.find
	}
	return fmt.Sprintf("q quit  Enter open  t %s  s by %s  r reverse  / find%s  ? help", other, by, find)
}

// topKeys explains the keys.
const topKeys = `  Keys:

    j k, arrows     move by a line; also PgUp, PgDn, Home and End
    Enter           open the node or target: all of it, and which command helps
    Esc             go back; in the table, show all rows again
    t, Tab          show targets in place of nodes, and back
    s               sort by the next column; first, the worst is on top
    r               reverse the order
    /               show only rows with a text
    q, Ctrl-C       quit

  A row with ! is not well, and stands in red. A bar is what a report said, the
  newest to the right; the highest bar is the greatest of them.`
