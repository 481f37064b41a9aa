//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
)

// peerResult is what was measured of a rival in one turn.
type peerResult struct {
	Rival   rival     `json:"rival"`
	Nodes   int       `json:"nodes"`
	Events  int       `json:"events"`           // of the burst
	Rate    float64   `json:"posts_per_second"` // of the burst, at all nodes together
	CPU     float64   `json:"cpu_ms"`           // for a POST of the burst, of all programs but publisher and gateway
	Share   float64   `json:"worst_share"`      // of the burst's events, at the node that got least, in percent
	Singles []float64 `json:"singles_ms"`       // from the publish to the last node, each
}

// peerColumns are the figures of the table.
var peerColumns = []struct {
	name   string
	figure func(*peerResult) float64
}{
	{"POSTs/s of a burst", func(r *peerResult) float64 { return r.Rate }},
	{"CPU for a POST, ms", func(r *peerResult) float64 { return r.CPU }},
	{"one event to the last node, p50, ms", func(r *peerResult) float64 { return percentile(50, r.Singles) }},
	{"p99, ms", func(r *peerResult) float64 { return percentile(99, r.Singles) }},
}

// peerResults are those of a run.
type peerResults []peerResult

// rivals and nodes are what there is of each, in the order of the run.
func (rs peerResults) rivals() (all []rival) {
	for _, r := range rs {
		if !slices.Contains(all, r.Rival) {
			all = append(all, r.Rival)
		}
	}
	return all
}

func (rs peerResults) nodes() (all []int) {
	for _, r := range rs {
		if !slices.Contains(all, r.Nodes) {
			all = append(all, r.Nodes)
		}
	}
	return all
}

// of are the results of a rival on so many nodes, a turn each.
func (rs peerResults) of(r rival, nodes int) (turns peerResults) {
	for _, res := range rs {
		if res.Rival == r && res.Nodes == nodes {
			turns = append(turns, res)
		}
	}
	return turns
}

func (rs peerResults) figures(of func(*peerResult) float64) (fs []float64) {
	for i := range rs {
		fs = append(fs, of(&rs[i]))
	}
	return fs
}

// base is the rival that the others are compared with: the first that is not agentctl.
func (rs peerResults) base() rival {
	for _, r := range rs.rivals() {
		if r != sixteen && r != oneBatch {
			return r
		}
	}
	return sixteen
}

// markdown is a table of medians. A ratio is the median of the turns' ratios to the base's
// in the same turn.
func (rs peerResults) markdown() string {
	var b strings.Builder
	b.WriteString("| nodes, burst | |")
	for _, c := range peerColumns {
		fmt.Fprintf(&b, " %s | ratio |", c.name)
	}
	fmt.Fprintf(&b, " at the worst node |\n|%s\n", strings.Repeat(" --- |", 2*len(peerColumns)+3))
	base := rs.base()
	for _, nodes := range rs.nodes() {
		under := rs.of(base, nodes)
		for _, r := range rs.rivals() {
			turns := rs.of(r, nodes)
			if len(turns) == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %d, %d | %s |", nodes, turns[0].Events, r)
			for _, c := range peerColumns {
				mine, theirs := turns.figures(c.figure), under.figures(c.figure)
				pairs := min(len(mine), len(theirs)) // an unfinished run lacks some
				fmt.Fprintf(&b, " %s | %s |", number(median(mine)), times([]float64{median(quotients(mine[:pairs], theirs[:pairs]))}))
			}
			fmt.Fprintf(&b, " %s %% |\n", number(slices.Min(turns.figures(func(r *peerResult) float64 { return r.Share }))))
		}
	}
	fmt.Fprintf(&b, "\nMedians of %d turns; a ratio is the median of the turns' ratios to %s. At the worst node is the smallest share of a burst that a node got in any turn.\n",
		len(rs.of(base, rs[0].Nodes)), base)
	return b.String()
}
