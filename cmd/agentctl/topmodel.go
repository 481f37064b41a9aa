package main

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

const (
	maxTopEvents = 200 // that are kept, the newest
	maxFind      = 100 // bytes of a text to find
)

// topEvent is what is shown of an event.
type topEvent struct {
	cells   []topCell
	waiting bool // for a target, when it was last asked for
	well    bool
	id      string
}

// top is what "agentctl top" knows and shows. One goroutine has it.
type top struct {
	addr string
	zone *time.Location // of the times shown

	report *api.ClusterReport // nil until there is one
	past   past
	asked  time.Time // when the request began that has no answer yet; zero if there is none
	failed string    // why the last request failed; "" if it did not

	events      []topEvent // oldest first
	eventRates  []float64  // in a second, one for each report
	newest      uint64     // sequence number
	counted     uint64     // the newest at the last report
	eventFailed string     // why the stream ended

	targets  bool // the table has targets
	by       int  // column that rows are sorted by; -1: the worst first
	reverse  bool
	find     string
	finding  bool // what is typed goes to find
	selected rowKey
	first    int     // row at the top of the table
	opened   *rowKey // nil: the table is shown
	scrolled int     // lines of what is opened
	help     bool
	quit     bool

	made     rowsOf // what these are made of:
	madeRows []topRow

	// Of the last frame:
	page  int   // rows that it had room for
	shown []int // columns
}

func newTop(addr string, zone *time.Location) *top { return &top{addr: addr, zone: zone, by: -1} }

// take takes an answer to the question for the cluster.
func (t *top) take(r *api.ClusterReport, err error) {
	t.asked = time.Time{}
	if err != nil {
		t.failed = err.Error()
		return
	}
	if took := r.Time.Sub(t.past.at).Seconds(); t.counted > 0 && took > 0 && t.newest >= t.counted {
		t.eventRates = pushed(t.eventRates, float64(t.newest-t.counted)/took)
	}
	t.counted = t.newest
	t.report, t.failed = r, ""
	t.past.add(r)
}

// event takes an event, for the first time or again.
func (t *top) event(e *api.EventReport) {
	shown := topEvent{id: e.ID, well: true}
	for _, o := range e.Targets {
		shown.waiting = shown.waiting || o.State == api.OutcomeWaiting
		shown.well = shown.well && (o.State == api.OutcomeDelivered || o.State == api.OutcomeOutdated)
	}
	for _, text := range []string{
		e.Time.In(t.zone).Format("15:04:05.000"), word(e.ID), eventName(e), count(e.Size, "byte"), targetStates(e.Targets), printable(e.Bytes(), payloadShown),
	} {
		shown.cells = append(shown.cells, topCell{text: text})
	}
	if i := slices.IndexFunc(t.events, func(known topEvent) bool { return known.id == e.ID }); i >= 0 {
		t.events[i] = shown
		return
	}
	t.newest = e.Seq
	if len(t.events) == maxTopEvents {
		t.events = slices.Delete(t.events, 0, 1)
	}
	t.events = append(t.events, shown)
}

// waiting are the IDs of the newest events that were waiting when last seen, up to so many.
func (t *top) waiting(most int) (ids []string) {
	for _, e := range slices.Backward(t.events) {
		if e.waiting && len(ids) < most {
			ids = append(ids, e.id)
		}
	}
	return ids
}

// rowsOf is all that the rows of a table depend on.
type rowsOf struct {
	report  *api.ClusterReport
	width   int
	targets bool
	by      int
	reverse bool
	find    string
}

// rows are the rows of the table, in their order. They are made once for many frames: events
// come ten times a second, and other reports every two.
func (t *top) rows(width int) []topRow {
	if of := (rowsOf{t.report, width, t.targets, t.by, t.reverse, t.find}); of != t.made {
		t.made, t.madeRows = of, t.makeRows(width)
	}
	return t.madeRows
}

func (t *top) makeRows(width int) (rows []topRow) {
	if t.report == nil {
		return nil
	}
	for i := range t.report.Members {
		m := &t.report.Members[i]
		if t.targets {
			rows = append(rows, targetRows(m, &t.past, t.report.Time, width)...)
		} else {
			rows = append(rows, nodeRow(m, &t.past, t.report.Time, width))
		}
	}
	if t.find != "" {
		rows = slices.DeleteFunc(rows, func(r topRow) bool {
			return !slices.ContainsFunc(r.cells, func(c topCell) bool { return strings.Contains(strings.ToLower(c.text), strings.ToLower(t.find)) })
		})
	}
	sortRows(rows, t.by, t.reverse)
	return rows
}

// names are the columns of the table.
func (t *top) names() []string {
	if t.targets {
		return targetNames()
	}
	return nodeNames()
}

// key does what a key says.
func (t *top) key(k screen.Key, width int) {
	switch {
	case k == screen.CtrlC:
		t.quit = true
	case t.finding:
		t.typed(k)
	case k == 'q':
		t.quit = true
	case t.help:
		t.help = false
	case k == '?':
		t.help = true
	case t.opened != nil:
		t.openedKey(k)
	default:
		t.tableKey(k, width)
	}
}

// typed is a key while a text to find is typed.
func (t *top) typed(k screen.Key) {
	switch {
	case k == screen.Enter:
		t.finding = false
	case k == screen.Esc:
		t.finding, t.find = false, ""
	case k == screen.Backspace:
		if runes := []rune(t.find); len(runes) > 0 {
			t.find = string(runes[:len(runes)-1])
		}
	case k > 0 && unicode.IsPrint(rune(k)) && len(t.find) < maxFind:
		t.find += string(rune(k))
	}
}

// openedKey is a key while a node or target is opened.
func (t *top) openedKey(k screen.Key) {
	switch {
	case k == screen.Esc || k == screen.Backspace || k == screen.Enter:
		t.opened, t.scrolled = nil, 0
	default:
		t.scrolled += moves(k, t.page)
	}
}

func (t *top) tableKey(k screen.Key, width int) {
	switch k {
	case 's': // the next column, and from the last on the worst first again
		at := slices.Index(t.shown, t.by) + 1
		if t.by = -1; at < len(t.shown) {
			t.by = t.shown[at]
		}
	case 'r':
		t.reverse = !t.reverse
	case 't', screen.Tab:
		t.targets, t.by, t.reverse, t.first = !t.targets, -1, false, 0
	case '/':
		t.finding = true
	case screen.Esc:
		t.find = ""
	default:
		rows := t.rows(width)
		if len(rows) == 0 {
			return
		}
		at := t.at(rows)
		if k == screen.Enter {
			key := rows[at].rowKey
			t.opened, t.scrolled = &key, 0
			return
		}
		t.selected = rows[min(max(at+moves(k, t.page), 0), len(rows)-1)].rowKey
	}
}

// at is the row that is selected: if that is not there, the first one of its node or of all.
func (t *top) at(rows []topRow) int {
	at := slices.IndexFunc(rows, func(r topRow) bool { return r.rowKey == t.selected })
	if at < 0 {
		at = slices.IndexFunc(rows, func(r topRow) bool { return r.node == t.selected.node })
	}
	return max(at, 0)
}

// moves is by how many lines a key moves.
func moves(k screen.Key, page int) int {
	const far = 1 << 20
	switch k {
	case screen.Down, 'j':
		return 1
	case screen.Up, 'k':
		return -1
	case screen.PageDown, ' ':
		return max(page, 1)
	case screen.PageUp:
		return -max(page, 1)
	case screen.Home, 'g':
		return -far
	case screen.End, 'G':
		return far
	}
	return 0
}
