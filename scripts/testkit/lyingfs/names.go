package lyingfs

import (
	"maps"
	"math/rand/v2"
)

// entries are the files and directories in a directory, by name. In a change, nil is a
// name that is removed.
type entries map[string]*inode

func (e entries) apply(change entries) {
	for name, i := range change {
		if i != nil {
			e[name] = i
		} else {
			delete(e, name)
		}
	}
}

// names are what is in a directory.
type names struct {
	live    entries   // as programs see it
	kept    entries   // as the last sync left it
	changes []entries // since then, in order; each happens as a whole
}

func (n *names) change(c entries) {
	n.live.apply(c)
	n.changes = append(n.changes, c)
}

func (n *names) sync() {
	n.kept, n.changes = maps.Clone(n.live), nil
}

// survivor is what a crash leaves.
func (n *names) survivor(chance float64) entries {
	left := maps.Clone(n.kept)
	for _, c := range n.changes {
		if rand.Float64() >= chance {
			break
		}
		left.apply(c)
	}
	return left
}
