package plumtree

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// chooseAll has every node choose among all, of so many regions.
func chooseAll(nodes, regions int) (chosen []map[int]Neighbour, full []bool) {
	for i := range nodes {
		var members []Member
		for j := range nodes {
			if j != i {
				rtt := time.Millisecond
				if i%regions != j%regions {
					rtt = 100 * time.Millisecond
				}
				members = append(members, Member{fmt.Sprint("node ", j), rtt})
			}
		}
		of := map[int]Neighbour{}
		list, all := Choose(fmt.Sprint("node ", i), members)
		for _, n := range list {
			var j int
			fmt.Sscanf(n.Name, "node %d", &j)
			of[j] = n
		}
		chosen, full = append(chosen, of), append(full, all)
	}
	return chosen, full
}

func TestFewNodesAreAllLinked(t *testing.T) {
	chosen, full := chooseAll(MaxFull, 1)
	for i, of := range chosen {
		if len(of) != MaxFull-1 || !full[i] {
			t.Errorf("node %d has %d neighbours, all: %v", i, len(of), full[i])
		}
	}
	if _, full := chooseAll(MaxFull+1, 1); slices.Contains(full, true) {
		t.Error("more nodes are all linked")
	}
	if none, full := Choose("alone", nil); len(none) != 0 || !full {
		t.Errorf("%v, %v", none, full)
	}
}

// The choice is mutual, bounded, and connects all nodes, of every region by near links too.
func TestTheChoiceConnectsAll(t *testing.T) {
	for _, tt := range []struct{ nodes, regions int }{{32, 1}, {400, 1}, {400, 5}, {40, 20}} {
		chosen, _ := chooseAll(tt.nodes, tt.regions)
		early := make([]int, tt.nodes) // by how many a node is told at once
		far := 0
		for i, of := range chosen {
			if len(of) > 2*(nearRings+globalRings) || len(of) < 2 {
				t.Errorf("%v: node %d has %d neighbours", tt, i, len(of))
			}
			for j, n := range of {
				if _, mutual := chosen[j][i]; !mutual {
					t.Errorf("%v: node %d chooses %d, which does not choose it", tt, i, j)
				}
				if n.RTT >= Near {
					far++
				}
				if n.Early {
					early[j]++
				}
			}
		}
		if n := reached(chosen, func(int, Neighbour) bool { return true }); n != tt.nodes {
			t.Errorf("%v: %d nodes are connected", tt, n)
		}
		if n := reached(chosen, func(_ int, n Neighbour) bool { return n.RTT < Near }); n != tt.nodes/tt.regions {
			t.Errorf("%v: %d nodes are connected by near links", tt, n)
		}
		if n := reached(chosen, func(_ int, n Neighbour) bool { return n.Backbone || n.RTT >= Near }); n != tt.nodes {
			t.Errorf("%v: the backbone connects %d nodes", tt, n)
		}
		if (far > 0) != (tt.regions > 1) || far > 2*globalRings*tt.nodes {
			t.Errorf("%v: %d links are far", tt, far)
		}
		if least := slices.Min(early); tt.nodes == 400 && least < nearRings-1 {
			t.Errorf("%v: a node is told at once by %d", tt, least)
		}
	}
}

// A first event comes to each node from one or two others in its region.
func TestTheBackboneIsThin(t *testing.T) {
	chosen, _ := chooseAll(400, 5)
	near := make([]int, len(chosen))
	for _, of := range chosen {
		for j, n := range of {
			if n.Backbone && n.RTT < Near {
				near[j]++
			}
		}
	}
	sum := 0
	for i, n := range near {
		sum += n
		if n < 1 || n > 2 {
			t.Errorf("node %d gets a first event from %d near nodes", i, n)
		}
	}
	if mean := float64(sum) / float64(len(near)); mean < 1.95 {
		t.Errorf("a node gets a first event from %.2f near nodes", mean)
	}
}

// reached is how many nodes the first reaches along such links.
func reached(chosen []map[int]Neighbour, along func(int, Neighbour) bool) int {
	seen := map[int]bool{0: true}
	for next := []int{0}; len(next) > 0; next = next[1:] {
		for j, n := range chosen[next[0]] {
			if !seen[j] && along(j, n) {
				seen[j] = true
				next = append(next, j)
			}
		}
	}
	return len(seen)
}

// A member that joins changes two links of each ring, and no others.
func TestOneMoreChangesFewLinks(t *testing.T) {
	before, _ := chooseAll(200, 1)
	after, _ := chooseAll(201, 1)
	gone := 0
	for i, of := range before {
		for j := range of {
			if _, still := after[i][j]; !still {
				gone++
			}
		}
	}
	if gone > 2*(nearRings+globalRings) {
		t.Errorf("%d ends of links are gone", gone)
	}
}
