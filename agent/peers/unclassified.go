package peers

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// maxUnclassified bounds the unclassified members that are remembered: only a few
// of them are asked anyway.
const maxUnclassified = 1024

// unclassified are members that have joined and are not known to be peers. Some of
// them are asked, even where this node knows many peers: those may all be of the
// same half of a cluster that was split.
//
// In a large cluster all others see the members join too, and only the node that
// asked gets the answer. So each node waits for a random time. It asks nobody if
// one of the members has asked a question meanwhile, which every node sees: then
// it knows a peer of the other half, once it has opened a link to it. A member that joins alone is asked by a few
// nodes only.
type unclassified struct {
	peers *Peers
	alive func() []string // the members that are

	mu    sync.Mutex
	names []string // since the last question
}

// add notes members that have joined, and sees to the question.
func (u *unclassified) add(names []string) {
	if len(names) == 0 {
		return
	}
	u.mu.Lock()
	first := len(u.names) == 0
	u.names = append(u.names, names[:min(len(names), maxUnclassified-len(u.names))]...)
	u.mu.Unlock()
	switch size := len(u.alive()); {
	case size <= smallCluster:
		u.peers.Look(u.take())
	case first:
		time.AfterFunc(stagger(size, joinedStagger), u.askSome)
	}
}

// take returns the members that were added since it was last called.
func (u *unclassified) take() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	names := u.names
	u.names = nil
	return names
}

// askSome asks a few of the unclassified members of a large cluster, if any of
// them is still there.
func (u *unclassified) askSome() {
	alive := u.alive()
	there := make(map[string]bool, len(alive))
	for _, name := range alive {
		there[name] = true
	}
	names := u.take()
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return !there[name] })
	if slices.ContainsFunc(names, u.peers.claimed) && !slices.ContainsFunc(names, u.peers.Knows) {
		u.mu.Lock()
		u.names = append(names, u.names...)
		u.names = u.names[:min(len(u.names), maxUnclassified)]
		u.mu.Unlock()
		time.AfterFunc(Silence, u.askSome) // it is a peer by then, or it is not
		return
	}
	if slices.ContainsFunc(names, u.peers.Knows) || rand.IntN(max(1, len(alive))) >= wanted*len(names) {
		return
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	u.peers.Look(names[:min(len(names), wanted)])
}
