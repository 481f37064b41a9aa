//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"agentctl/scripts/bench/simulation"
)

// simulate runs the simulations. They are a test program, since only a test can
// have a clock of its own.
func (b *bench) simulate(ctx context.Context) error {
	program := filepath.Join(b.dir, "simulation.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "agentctl/scripts/bench/simulation")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the simulation: %w\n%s", err, out)
	}
	for _, profile := range b.plan.simProfiles {
		results := filepath.Join(b.dir, "simulation-"+profile+".json")
		cmd := exec.CommandContext(ctx, program, "-test.run=^TestInFull$", "-test.timeout="+b.plan.limit.String(),
			"-nodes="+b.plan.simNodes, fmt.Sprintf("-events=%d", b.plan.simEvents), "-profile="+profile, "-results="+results)
		if err := b.follow(cmd); err != nil {
			return fmt.Errorf("simulation, %s: %w", profile, err)
		}
		text, err := os.ReadFile(results)
		if err != nil {
			return err
		}
		var found []simulation.Result
		if err := json.Unmarshal(text, &found); err != nil {
			return fmt.Errorf("%s: %w", results, err)
		}
		b.report.Simulations = append(b.report.Simulations, found...)
	}
	return nil
}

// follow runs a program and prints its lines as progress.
func (b *bench) follow(cmd *exec.Cmd) error {
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		b.say("%s", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, failure.Bytes())
	}
	return nil
}

// simulationTable is what the simulations found, "" where there were none.
func simulationTable(results []simulation.Result) string {
	if len(results) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| simulated nodes | published | ms to half of them | ms to the last, p50 and max | packets and bytes, each node | packets and bytes, the publisher | its links |\n|" +
		strings.Repeat(" --- |", 7) + "\n")
	for _, r := range results {
		for _, w := range r.Ways {
			last := join([]float64{percentile(50, w.Last), percentile(100, w.Last)})
			if w.Missing > 0 {
				last += fmt.Sprintf(" (%d not everywhere)", w.Missing)
			}
			fmt.Fprintf(&b, "| %d, %s | %s | %s | %s | %s | %s | %d |\n", r.Nodes, r.Profile, w.Name, number(w.Half), last,
				join([]float64{w.Each.Packets, w.Each.Bytes}), join([]float64{w.Publisher.Packets, w.Publisher.Bytes}), w.Links)
		}
	}
	for _, r := range results {
		fmt.Fprintf(&b, "\n%d nodes, %s, at rest: %s packets and %s bytes a second and node.", r.Nodes, r.Profile, number(r.Rest.Packets), number(r.Rest.Bytes))
	}
	return b.String() + "\n\n" + simulationMethod
}

const simulationMethod = `How it was simulated: the agents are whole, all in one process, on a network in memory that delays packets by 0.2 to 1 ms (wan: 20 to 80 ms) and loses 1 % of them; of a stream, what is lost comes 200 ms late. Time is the network's and that of the protocols' own pauses: what a node computes takes none of it. Events come alone, at random moments. One publisher has neither links nor direct send, as stock serf; one sends straight, as to stock members; one has links. Packets are of UDP and segments of links, without acknowledgements and headers; what the cluster sends at rest is taken off, and serf's full syncs are left out. Left out: RPC, POSTs, bursts, encryption.
`
