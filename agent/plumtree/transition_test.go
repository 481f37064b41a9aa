package plumtree

import (
	"fmt"
	"testing"
	"unsafe"
)

// A publisher that has sent its events by other ways until now begins with number 1 in the
// tree. Nobody waits for earlier ones, whether it was heard of or not.
func TestTheFirstEventOfAPublisherIsDeliveredAtOnce(t *testing.T) {
	tree := newTree(t, some(2)...)
	expect(t, "never heard of", seqs(receive(t, tree, 0, 0, eventOf("p", 1, 1))), []uint64{1})
	expect(t, "the next", seqs(receive(t, tree, ms, 0, eventOf("p", 1, 2))), []uint64{2})
	expect(t, "of another life", seqs(receive(t, tree, 2*ms, 0, eventOf("p", 2, 1))), []uint64{1})
	if s := tree.Stats(); s.Waiting != 0 {
		t.Errorf("%d wait", s.Waiting)
	}
}

// An agent has its tree also where it does not use it.
func TestATreeWithoutNeighboursIsCheap(t *testing.T) {
	tree := newTree(t)
	if size := unsafe.Sizeof(*tree); size > 4096 {
		t.Errorf("it has %d bytes", size)
	}
	if n := testing.AllocsPerRun(10, func() {
		tree.SetHold(true)
		tree.SetHold(false)
		if _, never := tree.Next(); !never || len(tree.Due(ms).Sends) != 0 {
			t.Error("something is due")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// What it publishes nevertheless is for neighbours that come.
	for seq := range 3 {
		if out, err := tree.Publish(0, []byte(fmt.Sprint(seq))); err != nil || len(out.Sends) != 0 || out.Held {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	if _, out, err := tree.Add(ms, Neighbour{Name: "n"}); err != nil || len(out.Sends) != 1 || len(out.Sends[0].Message) != 3+3*8 {
		t.Errorf("a neighbour is told %v, %v", out.Sends, err)
	}
	tree.Due(Recent)
	if s := tree.Stats(); s.Recent != 0 || s.RecentBytes != 0 {
		t.Errorf("%+v", s)
	}
	if at, never := tree.Next(); !never {
		t.Errorf("something is due at %v", at)
	}
}
