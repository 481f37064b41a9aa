package agent

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// maxNewcomers bounds those that are to be asked: a few of them are, anyway.
const maxNewcomers = 1024

// newcomers are members that have joined and are not known to be peers. Some of
// them are asked, also where many peers are known: those may all be of the same
// half of a cluster that was split.
//
// In a large cluster all others see them join too, and the answer goes to who
// asked. So each node waits for a random time, and asks nobody if one of them has
// asked a question meanwhile, which everyone sees: then it knows a peer of the
// other half. Who joins alone is asked by a few nodes only.
type newcomers struct {
	peers *peers
	alive func() []string // the members that are

	mu    sync.Mutex
	names []string // since the last question
}

// add notes who has joined, and sees to the question.
func (n *newcomers) add(names []string) {
	if len(names) == 0 {
		return
	}
	n.mu.Lock()
	first := len(n.names) == 0
	n.names = append(n.names, names[:min(len(names), maxNewcomers-len(n.names))]...)
	n.mu.Unlock()
	switch size := len(n.alive()); {
	case size <= smallCluster:
		n.peers.look(n.take())
	case first:
		time.AfterFunc(stagger(size, newcomersStagger), n.askSome)
	}
}

// take returns the newcomers since it was last called.
func (n *newcomers) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := n.names
	n.names = nil
	return names
}

// askSome asks a few of the newcomers of a large cluster that are still there, if
// any.
func (n *newcomers) askSome() {
	alive := n.alive()
	there := make(map[string]bool, len(alive))
	for _, name := range alive {
		there[name] = true
	}
	names := n.take()
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return !there[name] })
	if slices.ContainsFunc(names, n.peers.knows) || rand.IntN(max(1, len(alive))) >= repairPeers*len(names) {
		return
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	n.peers.look(names[:min(len(names), repairPeers)])
}
