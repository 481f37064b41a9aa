//go:build linux

package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// twoTurns is a run of two turns, of which the second was slower for all.
func twoTurns() peerResults {
	return peerResults{
		{Rival: sixteen, Nodes: 3, Events: 100, Rate: 3000, CPU: 0.1, Share: 100, Singles: []float64{1, 2}},
		{Rival: natsPlain, Nodes: 3, Events: 100, Rate: 1000, CPU: 0.2, Share: 100, Singles: []float64{2, 4}},
		{Rival: sixteen, Nodes: 3, Events: 100, Rate: 1000, CPU: 0.3, Share: 99, Singles: []float64{4}},
		{Rival: natsPlain, Nodes: 3, Events: 100, Rate: 500, CPU: 0.6, Share: 100, Singles: []float64{8}},
		{Rival: sixteen, Nodes: 10, Events: 50, Rate: 700, CPU: 0.3, Share: 100, Singles: []float64{4}},
	}
}

// The table has the medians, and ratios that are those of the turns, as the machine's pace
// differs from turn to turn.
func TestPeersTable(t *testing.T) {
	got := twoTurns().markdown()
	for _, want := range []string{
		"| 3, 100 | agentctl, 16 connections | 2,000 | 2.5× | 0.2 | 0.5× | 2.5 | 0.5× | 3 | 0.5× | 99 % |\n",
		"| 3, 100 | NATS + subscriber | 750 | 1× | 0.4 | 1× | 5 | 1× | 6 | 1× | 100 % |\n",
		"| 10, 50 | agentctl, 16 connections | 700 | – | 0.3 | – | 4 | – | 4 | – | 100 % |\n", // nothing to compare with
		"\nMedians of 2 turns; a ratio is the median of the turns' ratios to NATS + subscriber.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// The plot is XML, and has a line for each rival that was measured.
func TestPlot(t *testing.T) {
	text := twoTurns().svg()
	lines, points := 0, 0
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
			points += len(strings.Fields(e.Attr[0].Value))
		}
	}
	if lines != 6 || points != 2+1+3+3+1 {
		t.Errorf("%d lines with %d points", lines, points)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a place is no number")
	}
	if alone := twoTurns()[:1].svg(); strings.Contains(alone, "NaN") || strings.Contains(alone, "Inf") {
		t.Error("with one number of nodes, a place is no number")
	}
}

func TestPaddedPayload(t *testing.T) {
	p := padded(12, 345)
	if len(p) != peerBytes || !strings.Contains(string(p), `"entity":{"id":"12-345","pad":"xxx`) || !strings.HasSuffix(string(p), `xx"}}`) {
		t.Errorf("%d bytes: %s", len(p), p)
	}
	r := newRecorder(1)
	round := r.begin(1)
	r.note(0, padded(round, 0), r.last)
	if o := r.outcome(1); o.total != 1 {
		t.Error("the recorder does not know it")
	}
}
