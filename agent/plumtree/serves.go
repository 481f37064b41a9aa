package plumtree

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
// 64-bit FNV-1a. All versions must compute the same, or they do not agree.
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

// weight is an agent's for a member.
func weight(agent string, member uint64) uint64 { return place(0, key(agent)^member) }
