package plumtree

import (
	"cmp"
	"slices"
)

// Agents are the names of all living agents, with what takes most of the time to compute for
// each member: their hashes. It is not changed once it is made.
type Agents struct {
	names []string
	keys  []uint64
}

// AgentsOf makes an Agents of names in any order, with this node's or without it. It keeps
// the slice.
func AgentsOf(names []string) *Agents {
	a := &Agents{names: names, keys: make([]uint64, len(names))}
	for i, name := range names {
		a.keys[i] = key(name)
	}
	return a
}

// Serves tells whether this node is one of the n agents that serve a member which is no
// agent.
//
// It is rendezvous hashing: each agent has a weight for each member, a hash of both names,
// and the n agents with the highest weights serve the member. So all agents that know of
// the same ones agree. An agent that joins or leaves changes only its own share: on average
// n of the members for each agent. While views differ, a member may be served by more
// agents or by fewer.
//
// The weight is splitmix64 of the agent's hash and the mixed hash of the member, both by
// 64-bit FNV-1a. The time is in proportion to the agents at most, so the caller asks when
// members change and not for each event. All versions must compute the same, or they do not
// agree.
func (a *Agents) Serves(self, member string, n int) bool {
	of := place(0, key(member))
	mine := place(0, key(self)^of)
	for i, k := range a.keys {
		if w := place(0, k^of); w < mine || w == mine && a.names[i] <= self { // or it is self
			continue
		}
		if n--; n <= 0 {
			return false
		}
	}
	return n > 0
}

// Servers are the agents of which [Agents.Serves] says so, the one with the highest weight
// first.
func (a *Agents) Servers(member string, n int) []string {
	type ranked struct {
		name   string
		weight uint64
	}
	of := place(0, key(member))
	best := make([]ranked, 0, n+1)
	for i, k := range a.keys {
		w := place(0, k^of)
		if n == 0 || len(best) == n && w < best[n-1].weight {
			continue // most are
		}
		at, _ := slices.BinarySearchFunc(best, ranked{a.names[i], w}, func(b, a ranked) int {
			return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.name, b.name))
		})
		if at < n {
			best = slices.Insert(best, at, ranked{a.names[i], w})
			best = best[:min(len(best), n)]
		}
	}
	names := make([]string, len(best))
	for i := range best {
		names[i] = best[i].name
	}
	return names
}
