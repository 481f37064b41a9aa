package plumtree

import (
	"slices"
	"testing"
	"time"
)

// inner makes a node of the tree that has a parent and two children, and is told of each
// event by six others.
func inner(b testing.TB) *Tree {
	tree, err := New(Config{Self: "self", Incarnation: 1})
	if err != nil {
		b.Fatal(err)
	}
	for i, n := range slices.Repeat([]Neighbour{{}}, 24) {
		n.Name, n.Early, n.Backbone = string(rune('a'+i)), i < 6, i == 1 || i == 2
		if _, _, err := tree.Add(0, n); err != nil {
			b.Fatal(err)
		}
	}
	return tree
}

// one has an event come, with the digests and the time that follow it.
func one(tree *Tree, now time.Duration, event []byte) {
	digest := list(kindDigest, 0, []ID{idOf(event[4:])})
	tree.Receive(now, 0, event)
	for l := Link(10); l < 16; l++ {
		tree.Receive(now, l, digest)
	}
	tree.Due(now)
}

func BenchmarkEvent(b *testing.B) {
	tree := inner(b)
	payload := make([]byte, 300)
	b.ReportAllocs()
	now := time.Duration(0)
	for seq := uint64(1); b.Loop(); seq++ {
		now += time.Millisecond
		one(tree, now, appendBody(eventHead(nil, false, 0, 0), "p", 1, seq, payload))
	}
}
