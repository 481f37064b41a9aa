//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The plot's panels stand side by side, above the names of the rivals. Sizes are in pixels.
const (
	panelWidth, panelHeight = 300, 220
	panelLeft, panelTop     = 60, 40
	panelStep               = panelWidth + 80
)

// colours tell rivals apart, also to most of those who do not see all colours.
var colours = []string{"#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7"}

type point struct{ x, y float64 }

// panel is a diagram. Its axis to the right is logarithmic.
type panel struct {
	title, unit string
	marks       []float64 // on the axis to the right
	from, to    float64   // of that axis
	top         float64   // of the other
	least       float64   // of the other, which is logarithmic then; 0: it begins at 0 and is not
	lines       map[rival][]point
	dots        bool // at each point
}

// svg draws the rate against the number of nodes, and for each number the distribution of
// the time that single events take to the last node.
func (rs peerResults) svg() string {
	panels := []panel{rs.ratePanel()}
	for _, nodes := range rs.nodes() {
		panels = append(panels, rs.latencyPanel(nodes))
	}
	return svg(panels, rs.rivals())
}

// svg draws panels beside each other, and the names of the lines below.
func svg(panels []panel, rivals []rival) string {
	var b strings.Builder
	width, height := len(panels)*panelStep+20, panelTop+panelHeight+60+20*len(rivals)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	for i := range panels {
		panels[i].draw(&b, panelLeft+i*panelStep, rivals)
	}
	for i, r := range rivals {
		y := panelTop + panelHeight + 60 + 20*i
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="20" height="4" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			panelLeft, y-5, colours[i%len(colours)], panelLeft+30, y, html.EscapeString(string(r)))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (rs peerResults) ratePanel() panel {
	p := panel{title: "POSTs a second of a burst", unit: "nodes", lines: map[rival][]point{}, dots: true}
	nodes := slices.Sorted(slices.Values(rs.nodes()))
	p.from, p.to = float64(nodes[0]), float64(nodes[len(nodes)-1])
	for _, n := range nodes {
		p.marks = append(p.marks, float64(n))
		for _, r := range rs.rivals() {
			if turns := rs.of(r, n); len(turns) > 0 {
				y := median(turns.figures(func(r *peerResult) float64 { return r.Rate }))
				p.lines[r], p.top = append(p.lines[r], point{float64(n), y}), max(p.top, y)
			}
		}
	}
	return p
}

func (rs peerResults) latencyPanel(nodes int) panel {
	p := panel{
		title: fmt.Sprintf("%% of single events at all %d nodes", nodes), unit: "ms",
		marks: []float64{0.1, 1, 10, 100, 1000}, from: 0.1, to: 1000, top: 100, lines: map[rival][]point{},
	}
	for _, r := range rs.rivals() {
		var all []float64
		for _, turn := range rs.of(r, nodes) {
			all = append(all, turn.Singles...)
		}
		slices.Sort(all)
		for i, ms := range all {
			p.lines[r] = append(p.lines[r], point{ms, 100 * float64(i+1) / float64(len(all))})
		}
	}
	return p
}

func (p *panel) draw(b *strings.Builder, left int, rivals []rival) {
	bottom := panelTop + panelHeight
	x := func(v float64) float64 {
		if p.to <= p.from {
			return float64(left) + panelWidth/2
		}
		v = min(max(v, p.from), p.to)
		return float64(left) + panelWidth*math.Log(v/p.from)/math.Log(p.to/p.from)
	}
	share := func(v float64) float64 {
		if p.least > 0 {
			return math.Log(max(v, p.least)/p.least) / math.Log(p.top/p.least)
		}
		return v / max(p.top, 1)
	}
	y := func(v float64) float64 { return float64(bottom) - panelHeight*share(v) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, panelTop-15, html.EscapeString(p.title))
	for i := range 5 {
		v := p.top * float64(i) / 4
		if p.least > 0 {
			v = p.least * math.Pow(p.top/p.least, float64(i)/4)
		}
		fmt.Fprintf(b, `<path d="M%d %.1fh%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, y(v), panelWidth, left-5, y(v)+4, number(v))
	}
	for _, m := range p.marks {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(m), bottom+18, number(m))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+panelWidth/2, bottom+34, html.EscapeString(p.unit))
	for i, r := range rivals {
		var path []string
		for _, at := range p.lines[r] {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(at.x), y(at.y)))
			if p.dots {
				fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(at.x), y(at.y), colours[i%len(colours)])
			}
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colours[i%len(colours)])
	}
}
