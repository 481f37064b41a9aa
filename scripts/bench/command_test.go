//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

// TestPairs has both go first in turns, and compares each with its own pair.
func TestPairs(t *testing.T) {
	var order []kind
	pairs, err := inPairs(3, func(k kind, i int) (float64, error) {
		order = append(order, k)
		return map[kind][]float64{noScript: {2, 30, 8}, ours: {1, 3, 2}}[k][i], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []kind{noScript, ours, ours, noScript, noScript, ours}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
	b := &bench{out: t.Output(), began: time.Now()}
	b.paired(row{What: "times", Parts: []part{{Unit: "ms"}}}, pairs)
	b.paired(row{What: "rates", Parts: []part{{Unit: "a second", Higher: true}}}, pairs)
	for i, want := range []float64{4, 0.25} {
		r := b.report.Rows[i]
		if !slices.Equal(r.Figures[noScript], []float64{8}) || !slices.Equal(r.Figures[ours], []float64{2}) || !slices.Equal(r.Ratios, []float64{want}) {
			t.Errorf("%s: %+v, want 8, 2 and the ratio %v", r.What, r, want)
		}
	}
}
