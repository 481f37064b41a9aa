//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/bench/simulation"
)

func TestRatios(t *testing.T) {
	for _, tt := range []struct {
		name    string
		higher  bool
		figures map[kind][]float64
		want    []float64
	}{
		{"against the best of the stock ones", false, map[kind][]float64{kongScript: {80, 10}, curlScript: {60, 20}, ours: {2, 5}}, []float64{30, 2}},
		{"more is better", true, map[kind][]float64{kongScript: {10}, noScript: {40}, ours: {100}}, []float64{2.5}},
		{"stock is better", false, map[kind][]float64{noScript: {10}, ours: {20}}, []float64{0.5}},
		{"nothing to divide by", false, map[kind][]float64{noScript: {0}, ours: {0}}, []float64{0}},
		{"nothing delivered", true, map[kind][]float64{noScript: {50}, ours: {0}}, []float64{0}},
		{"no stock figure", false, map[kind][]float64{ours: {3}}, []float64{0}},
		{"no figure of ours", false, map[kind][]float64{noScript: {3}}, nil},
	} {
		r := row{Parts: []part{{Higher: tt.higher}, {Higher: tt.higher}}, Figures: tt.figures}
		if got := r.ratios(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	r := report{Machine: machine{CPU: "a CPU", Cores: 2, Go: "go1"}, Profile: "wan", Interpreter: "perl"}
	latency := row{What: "latency", Parts: []part{{Unit: "ms p50"}, {Unit: "max"}}}
	latency.set(kongScript, 100, 250)
	latency.set(ours, 2, 5)
	latency.count(ours, "events", 30)
	r.add(latency)
	start := row{What: "start", Parts: []part{{Unit: "ms"}}, Ratios: []float64{1.5}}
	start.set(noScript, 9)
	start.set(ours, 9)
	r.add(start)

	way := simulation.Way{Name: "links", Links: 200, Half: 0.6, Last: []float64{1, 9, 2}, Missing: 1, CPU: 350,
		Each: simulation.Traffic{Packets: 16, Bytes: 2000}, Publisher: simulation.Traffic{Packets: 450, Bytes: 31_000}}
	r.Simulations = []simulationResult{
		{Result: simulation.Result{Nodes: 300, Profile: "lan", Rest: simulation.Traffic{Packets: 4, Bytes: 290.4}, RestCPU: 80, Memory: 1.5,
			Ways: []simulation.Way{way}}, Peak: 600, Seconds: 50, CPU: 70},
		{Result: simulation.Result{Nodes: 300, Profile: "lan", Stock: true, Rest: simulation.Traffic{Packets: 2, Bytes: 145.2}, RestCPU: 40, Memory: 0.5}},
	}

	if got := r.figures("latency", ours); !slices.Equal(got, []float64{2, 5}) {
		t.Errorf("the figures of a row are %v", got)
	}
	if got := r.figures("other", ours); got != nil {
		t.Errorf("a row that is not there has figures: %v", got)
	}

	table := r.markdown()
	for _, want := range []string{
		"| what | unit | serf, Kong's script | serf, curl script | serf, no script | agentctl | times better |\n" +
			"| --- | --- | --- | --- | --- | --- | --- |\n",
		"| latency | ms p50 / max | 100 / 250 | – | – | 2 / 5 | 50× / 50× |\n",
		"| start | ms | – | – | 9 | 9 | 1.5× |\n",
		"| 300, lan | links | 0.6 | 2 / 9 (1 not everywhere) | 16 / 2,000 | 350 | 450 / 31,000 | 200 |\n",
		"| 300, lan | agentctl | 4 / 290 | 80 | 1.5 | 600 | 50 / 70 |\n",
		"| 300, lan | stock serf | 2 / 145 | 40 | 0.5 |",
		"300 nodes, lan: at rest, agentctl sends 2 times the packets and 2 times the bytes of stock serf, and a node needs 1 MiB more.\n",
		"a CPU, 2 cores", "the POST to perl", "on profile wan",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	if strings.Contains(table, "%!") {
		t.Errorf("the method is not filled in:\n%s", table)
	}

	file := filepath.Join(t.TempDir(), "figures.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.markdown(); got != table {
		t.Errorf("what was written says\n%s\nand not:\n%s", got, table)
	}
	if back.Rows[0].Counts[ours]["events"] != 30 {
		t.Error("the number of events was not written")
	}
}
