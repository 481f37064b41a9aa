//go:build linux

package main

import "agentctl/scripts/bench/broadcast"

// growth draws how time and cost grow with the number of nodes, "" where nothing was
// simulated.
func growth(results []broadcastResult) string {
	const (
		median, slow  = "the last node, p50", "the last node, p99"
		links         = "links of a node, at most"
		mean, at, top = "sent for an event, mean of all nodes", "sent for an event, by the publisher", "sent for an event, by the node that sends most"
	)
	line := func(title string) panel {
		return panel{title: title, unit: "nodes", from: 10, to: 10_000, marks: []float64{10, 100, 1000, 10_000}, lines: map[rival][]point{}, dots: true}
	}
	time, few, bytes := line("ms to the last node"), line("links"), line("bytes for an event of 300 bytes")
	time.least, time.top, few.top, bytes.least, bytes.top = 0.1, 1000, 32, 100, 10_000
	add := func(p *panel, name rival, r *broadcastResult, y float64) {
		p.lines[name] = append(p.lines[name], point{float64(r.Nodes), y})
	}
	for i := range results {
		r := &results[i]
		if r.Name != broadcast.Lan {
			continue
		}
		add(&time, median, r, r.Percentile(50))
		add(&time, slow, r, r.Percentile(99))
		add(&few, links, r, float64(r.Links))
		add(&bytes, mean, r, r.Mean*float64(r.Size))
		add(&bytes, at, r, r.PublisherBytes)
		add(&bytes, top, r, r.Most*float64(r.Size))
	}
	if len(time.lines) == 0 {
		return ""
	}
	return svg([]panel{time, few, bytes}, []rival{median, slow, links, mean, at, top})
}
