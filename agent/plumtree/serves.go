package plumtree

import (
	"cmp"
	"slices"
)

// Serves tells whether this node is one of the n agents that serve a member which is no
// agent. Agents are the names of all living agents, in any order, with self or without it.
//
// It is rendezvous hashing: each agent has a weight for each member, a hash of both names,
// and the n agents with the highest weights serve the member. So all agents that know of
// the same ones agree. An agent that joins or leaves changes only its own share: on average
// n of the members for each agent. While views differ, a member may be served by more
// agents or by fewer.
//
// The weight is splitmix64 of the agent's hash and the mixed hash of the member, both by
// 64-bit FNV-1a. The time is in proportion to the agents, so the caller asks when members
// change and not for each event. All versions must compute the same, or they do not agree.
func Serves(self string, agents []string, member string, n int) bool {
	of := place(0, key(member))
	mine := weight(self, of)
	for _, a := range agents {
		if a == self {
			continue
		}
		if w := weight(a, of); w > mine || w == mine && a > self {
			n--
		}
		if n <= 0 {
			return false
		}
	}
	return n > 0
}

// Servers are the agents of which [Serves] says so, the one with the highest weight first.
func Servers(agents []string, member string, n int) []string {
	type ranked struct {
		name   string
		weight uint64
	}
	of := place(0, key(member))
	best := make([]ranked, 0, n+1)
	for _, name := range agents {
		a := ranked{name, weight(name, of)}
		at, _ := slices.BinarySearchFunc(best, a, func(b, a ranked) int {
			return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.name, b.name))
		})
		if at < n {
			best = slices.Insert(best, at, a)
			best = best[:min(len(best), n)]
		}
	}
	names := make([]string, len(best))
	for i := range best {
		names[i] = best[i].name
	}
	return names
}

// weight is an agent's for a member.
func weight(agent string, member uint64) uint64 { return place(0, key(agent)^member) }
