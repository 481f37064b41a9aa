package plumtree

import (
	"hash/fnv"
	"slices"
	"time"
)

const (
	// nearRings and globalRings are how many rings of near members and of all members
	// there are. A node has two neighbours in each.
	nearRings   = 6
	globalRings = 2
)

// Member is an agent that may be a neighbour.
type Member struct {
	Name string
	RTT  time.Duration // as in Neighbour
}

// Choose picks the neighbours of a node among the members, and tells whether they are
// all of them. Members names every other agent once.
//
// The choice is the same for both ends, as far as they agree on who is there and who is
// near: if a picks b, then b picks a. So each node has 2 × 8 neighbours, or fewer where
// it has two rings with the same one. While they disagree some have more. Beyond
// [MaxLinks] a node refuses them.
func Choose(self string, members []Member) (chosen []Neighbour, full bool) {
	full = len(members)+1 <= MaxFull
	keys := make([]uint64, len(members))
	for i := range members {
		keys[i] = key(members[i].Name)
	}
	me := key(self)
	add := func(i int, backbone, early bool) {
		if i < 0 {
			return
		}
		m := &members[i]
		if at := slices.IndexFunc(chosen, func(n Neighbour) bool { return n.Name == m.Name }); at >= 0 {
			chosen[at].Backbone = chosen[at].Backbone || backbone
			chosen[at].Early = chosen[at].Early || early
			return
		}
		chosen = append(chosen, Neighbour{Name: m.Name, RTT: m.RTT, Backbone: backbone, Early: early})
	}
	if full {
		for i := range members {
			add(i, false, false)
		}
		before, behind := beside(nearRings, me, keys, members, false)
		add(before, false, true)
		add(behind, false, true)
		return chosen, true
	}
	for ring := range uint64(nearRings + globalRings) {
		before, behind := beside(ring, me, keys, members, ring < nearRings)
		// Every node gets the first event of a publisher from those before it on two
		// rings, and digests at once from those before it on all near ones. The rings of
		// all members bring both to other regions.
		global := ring >= nearRings
		far := global && behind >= 0 && members[behind].RTT >= Near
		add(before, false, false)
		add(behind, ring < 2 || far && ring == nearRings, !global || far)
	}
	return chosen, false
}

// beside finds the members before and behind a node on a ring, or -1 if there is none.
func beside(ring, me uint64, keys []uint64, members []Member, near bool) (before, behind int) {
	before, behind = -1, -1
	at := place(ring, me)
	var least, most uint64 // distances onwards
	for i, k := range keys {
		if near && members[i].RTT >= Near {
			continue
		}
		onwards := place(ring, k) - at
		if behind < 0 || onwards < least {
			behind, least = i, onwards
		}
		if before < 0 || onwards > most {
			before, most = i, onwards
		}
	}
	return before, behind
}

// key is the same for a name on every node.
func key(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// place is where a key stands on a ring. It mixes as splitmix64 does.
func place(ring, key uint64) uint64 {
	z := key + (ring+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
