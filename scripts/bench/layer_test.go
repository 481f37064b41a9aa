//go:build linux

package main

import (
	"io"
	"strings"
	"testing"
)

// The table has a row for each case, with as many cells as its head.
func TestBroadcastTable(t *testing.T) {
	b := &bench{plan: plan{broadcastNodes: 30, broadcastEvents: 2}, seed: 1, out: io.Discard}
	if err := b.broadcast(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.report.Broadcasts) < 5 {
		t.Fatalf("%d cases", len(b.report.Broadcasts))
	}
	rows := 0
	cells := 0
	for line := range strings.Lines(broadcastTable(b.report.Broadcasts)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		if n := strings.Count(line, "|"); cells == 0 {
			cells = n
		} else if n != cells {
			t.Errorf("%d cells where the head has %d: %s", n, cells, line)
		}
		rows++
	}
	if rows != len(b.report.Broadcasts)+2 {
		t.Errorf("%d lines of %d cases", rows, len(b.report.Broadcasts))
	}
	drawing := growth(b.report.Broadcasts)
	if points := strings.Count(drawing, "<circle"); points != 2*6 {
		t.Errorf("the drawing has %d points: %s", points, drawing)
	}
	if strings.Contains(drawing, "NaN") || growth(nil) != "" {
		t.Error("the drawing shows what is no number, or nothing is drawn")
	}
	if broadcastTable(nil) != "" {
		t.Error("there is a table of nothing")
	}
}
