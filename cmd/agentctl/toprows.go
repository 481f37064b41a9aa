package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentctl/agent/api"
)

// narrow is below which width bars and names are short, in columns.
const narrow = 120

// topRow is a node or a target in a table.
type topRow struct {
	rowKey
	cells  []topCell
	member *api.MemberReport
	target *api.OwnTarget // nil for a node
	worst  float64        // the worst row has the greatest
}

// well tells whether nothing is wrong with it.
func (r *topRow) well() bool {
	if r.target != nil {
		return r.target.State == api.TargetOK
	}
	return len(r.member.Problems) == 0
}

// waiting is how many events wait.
func (r *topRow) waiting() int {
	switch {
	case r.target != nil:
		return r.target.Waiting
	case r.member.Says != nil:
		return together(r.member.Says).Waiting
	}
	return 0
}

// severityOf is how bad a target's state is: 0 if it is well. One that this version does not
// know is the worst.
func severityOf(state api.TargetState) float64 {
	severity := []api.TargetState{api.TargetOK, api.TargetRefusing, api.TargetRetrying, api.TargetFlushing, api.TargetStale}
	if i := slices.Index(severity, state); i >= 0 {
		return float64(i)
	}
	return float64(len(severity))
}

// memberWorst is how bad a member is: those that say nothing, then the states of targets.
func memberWorst(m *api.MemberReport) (worst float64) {
	if m.Answer == api.AnswerLeft {
		worst = -1
	}
	if len(m.Problems) > 0 {
		worst = 10
	}
	switch {
	case len(m.Problems) > 0 && m.Says == nil:
		worst += 10
	case m.Says != nil && len(m.Says.Targets) > 0: // the worst is the first
		worst += severityOf(m.Says.Targets[0].State)
	}
	return worst
}

// columnsOf makes columns of their names.
func columnsOf(names []string, width int) (columns []topColumn) {
	// Those that are left out first as the screen gets narrower come first.
	kept := strings.Fields("ADDRESS VERSION LINKS DELIVERED MEMBERS LAST FLUSHED LOST ERROR RATE STATE SINCE P99 OLDEST WAITING ITSELF TARGETS TARGET NODE")
	for _, name := range names {
		c := topColumn{name: name, keep: slices.Index(kept, name)}
		switch {
		case name == "ERROR":
			c.most = max(width/4, 20)
		case (name == "NODE" || name == "TARGET" || name == "TARGETS") && width < narrow:
			c.most = 18
		case name == "NODE" || name == "TARGET" || name == "TARGETS":
			c.most = 40
		}
		columns = append(columns, c)
	}
	return columns
}

func barWidthOf(width int) int {
	if width < narrow {
		return 4
	}
	return 12
}

// nodeNames are the columns of the table of nodes: those of "status -cluster", and RATE.
func nodeNames() []string {
	names := strings.Split(memberColumns, "\t")
	return slices.Insert(names, slices.Index(names, "P99"), "RATE")
}

// nodeRow is a row of the table of nodes.
func nodeRow(m *api.MemberReport, p *past, now time.Time, width int) topRow {
	row := topRow{rowKey: rowKey{node: m.Node}, member: m, worst: memberWorst(m)}
	texts, of := strings.Split(memberRow(m, now), "\t"), p.of(rowKey{node: m.Node})
	numbers := map[string]float64{"TARGETS": row.worst, "RATE": newest(of.rates), "P99": newest(of.p99)}
	if m.Says != nil {
		all := together(m.Says)
		numbers["MEMBERS"], numbers["LINKS"], numbers["WAITING"] = float64(m.Says.Members["alive"]), float64(m.Says.Links), float64(all.Waiting)
		numbers["OLDEST"], numbers["LAST"] = since(all.OldestWaiting, now), since(all.LastDelivered, now)
		numbers["LOST"], numbers["FLUSHED"] = float64(all.Lost), float64(all.Flushes)
	}
	at := 0
	for _, name := range nodeNames() {
		text := ""
		switch name {
		case "RATE":
			text = barsWith(of.rates, perSecond, width)
		case "P99":
			text = barsWith(of.p99, latency, width)
			at++
		default:
			text = texts[at]
			at++
		}
		row.cells = append(row.cells, topCell{text, numbers[name]})
	}
	return row
}

// targetNames are the columns of the table of targets.
func targetNames() []string {
	return strings.Fields("NODE TARGET STATE SINCE WAITING OLDEST LAST DELIVERED RATE P99 LOST FLUSHED ERROR")
}

// targetRows are a member's rows in the table of targets. A member that is not well and says
// nothing has one, too.
func targetRows(m *api.MemberReport, p *past, now time.Time, width int) (rows []topRow) {
	if m.Says == nil {
		if len(m.Problems) > 0 {
			row := topRow{rowKey: rowKey{node: m.Node}, member: m, worst: memberWorst(m)}
			for range targetNames() {
				row.cells = append(row.cells, topCell{text: "-"})
			}
			row.cells[0].text, row.cells[2] = word(m.Node), topCell{word(string(m.Answer)), row.worst}
			row.cells[len(row.cells)-1].text = printable([]byte(m.Error), api.MaxOwnText)
			rows = append(rows, row)
		}
		return rows
	}
	for i := range m.Says.Targets {
		t := &m.Says.Targets[i]
		of := p.of(rowKey{m.Node, t.Target})
		rows = append(rows, topRow{
			rowKey: rowKey{m.Node, t.Target}, member: m, target: t, worst: severityOf(t.State),
			cells: []topCell{
				{text: word(m.Node)}, {text: word(t.Target)}, {word(string(t.State)), severityOf(t.State)},
				{age(t.Since, now), since(t.Since, now)}, {strconv.Itoa(t.Waiting), float64(t.Waiting)},
				{age(t.OldestWaiting, now), since(t.OldestWaiting, now)}, {ago(t.LastDelivered, now), since(t.LastDelivered, now)},
				{strconv.FormatUint(t.Delivered, 10), float64(t.Delivered)},
				{barsWith(of.rates, perSecond, width), newest(of.rates)}, {barsWith(of.p99, latency, width), newest(of.p99)},
				{strconv.FormatUint(t.Lost, 10), float64(t.Lost)}, {strconv.FormatUint(t.Flushes, 10), float64(t.Flushes)},
				{text: printable([]byte(t.LastError), api.MaxOwnText)},
			},
		})
	}
	return rows
}

// barsWith are the bars, and the newest value.
func barsWith(values []float64, text func(float64) string, width int) string {
	return bars(values, barWidthOf(width)) + " " + text(last(values))
}

// newest is the last value to sort by: 0 if it is not known.
func newest(values []float64) float64 {
	if v := last(values); !math.IsNaN(v) {
		return v
	}
	return 0
}

// since is a time as a number of seconds; 0 if there is none.
func since(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return now.Sub(t).Seconds()
}

// sortRows sorts by a column, or the worst first if there is none.
func sortRows(rows []topRow, by int, reverse bool) {
	slices.SortStableFunc(rows, func(a, b topRow) int {
		c := 0
		if by < 0 {
			c = cmp.Or(cmp.Compare(b.worst, a.worst), cmp.Compare(b.waiting(), a.waiting()))
		} else {
			c = cmp.Or(cmp.Compare(b.cells[by].number, a.cells[by].number), strings.Compare(a.cells[by].text, b.cells[by].text))
		}
		if reverse {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.node, b.node), strings.Compare(a.rowKey.target, b.rowKey.target))
	})
}
