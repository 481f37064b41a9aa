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
	"syscall"
	"time"

	"agentctl/scripts/bench/simulation"
)

// simulationResult is what a simulation has found, and what it cost.
type simulationResult struct {
	simulation.Result
	Peak    float64 `json:"peak_mib"` // the most memory that the process had
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"`
}

// simulate runs the simulations, each in a process of its own. They are a test program,
// since only a test can have a clock of its own.
func (b *bench) simulate(ctx context.Context) error {
	program := filepath.Join(b.dir, "simulation.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "agentctl/scripts/bench/simulation")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the simulation: %w\n%s", err, out)
	}
	for _, profile := range b.plan.simProfiles {
		for _, nodes := range b.plan.simNodes {
			for _, stock := range []bool{false, true} {
				r, err := b.simulateOne(ctx, program, nodes, profile, stock)
				if err != nil {
					return fmt.Errorf("simulation of %d nodes, %s: %w", nodes, profile, err)
				}
				b.report.Simulations = append(b.report.Simulations, r)
			}
		}
	}
	return nil
}

func (b *bench) simulateOne(ctx context.Context, program string, nodes int, profile string, stock bool) (r simulationResult, err error) {
	results := filepath.Join(b.dir, "simulation.json")
	cmd := exec.CommandContext(ctx, program, "-test.run=^TestInFull$", "-test.timeout="+b.plan.limit.String(),
		fmt.Sprintf("-nodes=%d", nodes), fmt.Sprintf("-events=%d", b.plan.simEvents), fmt.Sprintf("-stock=%t", stock),
		"-profile="+profile, "-results="+results)
	began := time.Now()
	if err := b.follow(cmd); err != nil {
		return r, err
	}
	r.Seconds = time.Since(began).Seconds()
	r.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	r.Peak = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
	text, err := os.ReadFile(results)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r.Result); err != nil {
		return r, fmt.Errorf("%s: %w", results, err)
	}
	return r, nil
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
func simulationTable(results []simulationResult) string {
	if len(results) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| simulated nodes | published | ms to half of them | ms to the last, p50 and max | packets and bytes, each node | µs of CPU, each node | packets and bytes, the publisher | its links |\n|" +
		strings.Repeat(" --- |", 8) + "\n")
	for _, r := range results {
		for _, w := range r.Ways {
			last := join([]float64{percentile(50, w.Last), percentile(100, w.Last)})
			if w.Missing > 0 {
				last += fmt.Sprintf(" (%d not everywhere)", w.Missing)
			}
			fmt.Fprintf(&b, "| %d, %s | %s | %s | %s | %s | %s | %s | %d |\n", r.Nodes, r.Profile, w.Name, number(w.Half), last,
				join([]float64{w.Each.Packets, w.Each.Bytes}), number(w.CPU), join([]float64{w.Publisher.Packets, w.Publisher.Bytes}), w.Links)
		}
	}
	b.WriteString("\n| simulated nodes | of | packets and bytes at rest, a second and node | µs of CPU, likewise | MiB of a node | MiB of the simulation, at most | its time and CPU, s |\n|" +
		strings.Repeat(" --- |", 7) + "\n")
	for _, r := range results {
		what := "agentctl"
		if r.Stock {
			what = "stock serf"
		}
		fmt.Fprintf(&b, "| %d, %s | %s | %s | %s | %s | %s | %s |\n", r.Nodes, r.Profile, what, join([]float64{r.Rest.Packets, r.Rest.Bytes}),
			number(r.RestCPU), number(r.Memory), number(r.Peak), join([]float64{r.Seconds, r.CPU}))
	}
	for _, r := range results {
		for _, s := range results {
			if !r.Stock && s.Stock && s.Nodes == r.Nodes && s.Profile == r.Profile {
				fmt.Fprintf(&b, "\n%d nodes, %s: at rest, agentctl sends %s times the packets and %s times the bytes of stock serf, and a node needs %s MiB more.\n",
					r.Nodes, r.Profile, number(r.Rest.Packets/s.Rest.Packets), number(r.Rest.Bytes/s.Rest.Bytes), number(r.Memory-s.Memory))
			}
		}
	}
	return b.String() + "\n" + simulationMethod
}

const simulationMethod = `How it was simulated: the agents are whole, all in one process, on a network in memory that delays packets by 0.2 to 1 ms (wan: 20 to 80 ms) and loses 1 % of them; of a stream, what is lost comes 200 ms late. Time is the network's and that of the protocols' own pauses: what a node computes takes none of it. Its CPU is that of the process, with the network in memory. The CPU of an event is that of 40 events, four a second, without collections of garbage. The nodes have learned of each other by full syncs, and not by gossip. Events come alone, at random moments. One publisher has neither links nor direct send, as stock serf; one sends straight, as to stock members; one has links. Stock serf is a cluster of its own. Packets are of UDP and segments of links, without acknowledgements and headers; what the cluster sends at rest is taken off, and serf's full syncs are left out. The memory of a node is its objects and its goroutines' stacks, with its end of the network. Left out: RPC, POSTs, bursts, encryption.
`
