package plumtree

import (
	"fmt"
	"slices"
	"testing"
)

func names(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%d", prefix, i))
	}
	return all
}

// servedBy is who serves each member.
func servedBy(agents, members []string, n int) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, m := range members {
		all[m] = map[string]bool{}
		for _, a := range agents {
			if AgentsOf(agents).Serves(a, m, n) {
				all[m][a] = true
			}
		}
	}
	return all
}

func TestEachMemberIsServedBySoMany(t *testing.T) {
	agents, members := names("agent", 20), names("stock", 1000)
	for _, n := range []int{0, 1, 2, 3, 20, 25} {
		shares := map[string]int{}
		for m, by := range servedBy(agents, members, n) {
			if len(by) != min(n, len(agents)) {
				t.Fatalf("%s is served by %d agents, want %d", m, len(by), n)
			}
			for a := range by {
				shares[a]++
			}
		}
		// With 1,000 members the share of an agent has a standard deviation of 7 to 12.
		mean := len(members) * min(n, len(agents)) / len(agents)
		for _, a := range agents {
			if s := shares[a]; n < len(agents) && (s < mean-mean*2/3 || s > mean+mean*2/3) {
				t.Errorf("%d for each: %s serves %d, where the mean is %d", n, a, s, mean)
			}
		}
	}
}

// An agent that joins or leaves takes or gives away its own share, and nothing else moves.
func TestLittleMovesWithAnAgent(t *testing.T) {
	agents, members := names("agent", 20), names("stock", 1000)
	before, after := servedBy(agents[:19], members, 2), servedBy(agents, members, 2)
	moved := 0
	for _, m := range members {
		for a := range before[m] {
			if !after[m][a] {
				moved++
				if !after[m][agents[19]] {
					t.Errorf("%s is served by %v, and by %v once %s is there", m, before[m], after[m], agents[19])
				}
			}
		}
	}
	if want := 2 * len(members) / len(agents); moved < want/2 || moved > want*2 {
		t.Errorf("%d of 2,000 moved, want some %d", moved, want)
	}
}

// The list's order does not matter, nor whether it names the agent itself. The choice stays
// the same from version to version.
func TestServesIsTheSameEverywhere(t *testing.T) {
	agents := names("agent", 5)
	var chosen []string
	for i, a := range agents {
		others := append([]string{}, agents[i+1:]...)
		others = append(others, agents[:i]...)
		if AgentsOf(others).Serves(a, "stock", 2) != AgentsOf(agents).Serves(a, "stock", 2) {
			t.Errorf("%s by itself computes something else", a)
		}
		if AgentsOf(agents).Serves(a, "stock", 2) {
			chosen = append(chosen, a)
		}
	}
	expect(t, "chosen", chosen, []string{"agent-1", "agent-3"})
	if !AgentsOf(nil).Serves("alone", "stock", 1) {
		t.Error("the only agent does not serve")
	}
}

func BenchmarkServes(b *testing.B) {
	agents := AgentsOf(names("agent", 1000))
	b.ReportAllocs()
	for b.Loop() {
		agents.Serves("agent-0", "stock-0", 1000)
	}
}

func TestServersAreThoseThatServe(t *testing.T) {
	agents := names("agent", 20)
	for _, m := range names("stock", 200) {
		for _, n := range []int{0, 1, 2, 20, 25} {
			by := AgentsOf(agents).Servers(m, n)
			if len(by) != min(n, len(agents)) {
				t.Fatalf("%s has %d servers, want %d", m, len(by), n)
			}
			for _, a := range agents {
				if slices.Contains(by, a) != AgentsOf(agents).Serves(a, m, n) {
					t.Fatalf("%s, of %d: %s is said to serve by one alone", m, n, a)
				}
			}
		}
	}
}
