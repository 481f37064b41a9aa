//go:build linux

package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/memnet"
)

// These are for a simulation in full; bench gives them.
var (
	size    = flag.Int("nodes", 0, "size of the cluster to simulate in full")
	stocks  = flag.Bool("stock", false, "simulate stock serf")
	events  = flag.Int("events", 20, "how many events of each way")
	profile = flag.String("profile", "lan", "gossip profile")
	results = flag.String("results", "", "file that the results go to, as JSON")
)

// run simulates in a bubble. Yamux keeps timers in a pool, and one that comes
// from another bubble panics when it is used: two collections empty it.
func run(t *testing.T, cfg Config, progress func(string, ...any)) (res Result) {
	runtime.GC()
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if res, err = Run(cfg, progress); err != nil {
			t.Fatal(err)
		}
	})
	return res
}

// The simulation of 1,000 agents is to fit in 4 GiB, and to collect garbage less often
// than a program does by itself.
const (
	memoryLimit = 3 << 30 // of the heap, and soft
	gcPercent   = 300
)

// TestInFull is what bench runs, on the network of a data centre or between
// continents.
func TestInFull(t *testing.T) {
	if *size == 0 {
		t.Skip("scripts/bench.sh -only=simulation runs this; TestSmall does the same with few nodes")
	}
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(gcPercent)
	network := memnet.Config{MinDelay: 200 * time.Microsecond, MaxDelay: time.Millisecond, Loss: 0.01, Resend: 200 * time.Millisecond}
	if *profile == "wan" {
		network.MinDelay, network.MaxDelay = 20*time.Millisecond, 80*time.Millisecond
	}
	run(t, Config{Nodes: *size, Profile: *profile, Stock: *stocks, Events: *events, Network: network, Measured: keep},
		func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
}

// keep writes the results and ends the process. Without a file for them the test goes on,
// and its profiles are written.
func keep(res Result) {
	if *results == "" {
		return
	}
	text, err := json.MarshalIndent(res, "", "  ")
	if err == nil {
		err = os.WriteFile(*results, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// With few nodes the figures are those that follow from the network: an event over a link
// takes one delay.
func TestSmall(t *testing.T) {
	const oneWay = 3 * time.Millisecond
	const nodes, events = 12, 3
	res := run(t, Config{Nodes: nodes, Profile: "lan", Events: events,
		Network: memnet.Config{MinDelay: time.Millisecond, MaxDelay: oneWay}}, t.Logf)
	if len(res.Ways) != 1 {
		t.Fatalf("%d ways, want 1", len(res.Ways))
	}
	w := res.Ways[0]
	if w.Missing != 0 || len(w.Last) != events || w.Each.Packets <= 0 || w.Each.Bytes <= 0 || w.Links < nodes-1 {
		t.Errorf("%+v", w)
	}
	if slowest := slices.Max(w.Last); slowest < 1 || slowest > millis(oneWay) || w.Half > slowest {
		t.Errorf("%.1f ms to half and %.1f ms to the last node, want 1 to %v", w.Half, slowest, oneWay)
	}
	checkRest(t, res)
}

// A cluster of stock serf is simulated in the same way.
func TestSmallStock(t *testing.T) {
	const nodes, events = 30, 3 // more than the first nodes that all join
	res := run(t, Config{Nodes: nodes, Profile: "lan", Stock: true, Events: events,
		Network: memnet.Config{MinDelay: time.Millisecond, MaxDelay: 3 * time.Millisecond}}, t.Logf)
	if len(res.Ways) != 1 {
		t.Fatalf("%d ways, want 1", len(res.Ways))
	}
	if w := res.Ways[0]; w.Missing != 0 || len(w.Last) != events || w.Links != 0 || w.Each.Packets <= 0 || slices.Min(w.Last) < 30 {
		t.Errorf("%+v", w)
	}
	checkRest(t, res)
}

func checkRest(t *testing.T, res Result) {
	t.Helper()
	if res.Rest.Packets < 1 || res.Rest.Packets > restPackets {
		t.Errorf("%.1f packets a second and node at rest", res.Rest.Packets)
	}
	if res.RestCPU <= 0 || res.Memory <= 0 {
		t.Errorf("%.1f µs of CPU a second and node, and %.2f MiB a node", res.RestCPU, res.Memory)
	}
}

// Words about nodes that joined are cut out of a packet, and nothing else.
func TestWithoutJoins(t *testing.T) {
	alive, join, leave, ping := "\x04a", "\x08\x01j", "\x08\x00l", "\x00p"
	compound := func(msgs ...string) string {
		lengths, bodies := "", ""
		for _, m := range msgs {
			lengths, bodies = lengths+"\x00"+string(rune(len(m))), bodies+m
		}
		return "\x07" + string(rune(len(msgs))) + lengths + bodies
	}
	const sum = "\x0csum!"
	for _, c := range []struct{ packet, want string }{
		{alive, ""},
		{sum + alive, ""},
		{sum + join, ""},
		{leave, leave},
		{sum + ping, sum + ping},
		{compound(alive, join), ""},
		{sum + compound(ping, leave), sum + compound(ping, leave)},
		{sum + compound(ping, alive, leave, join), compound(ping, leave)},
		{"", ""},
	} {
		if got := withoutJoins([]byte(c.packet)); string(got) != c.want {
			t.Errorf("of %q is left %q, want %q", c.packet, got, c.want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, n := range []int{0, 1, MaxNodes + 1} {
		if _, err := Run(Config{Nodes: n}, t.Logf); err == nil {
			t.Errorf("%d nodes are taken", n)
		}
	}
}
