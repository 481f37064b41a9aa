package plumtree

import "testing"

// A neighbour that this node has not chosen is told of the last events when it comes, and
// gets those for which it asks. Of others it hears once this node has chosen it.
func TestAPassiveNeighbourIsToldOfNothing(t *testing.T) {
	tree := newTree(t, Neighbour{Early: true, Backbone: true}, Neighbour{Early: true, Backbone: true, Passive: true}, Neighbour{Early: true})
	tree.SetHold(true)
	e := eventOf("p", 1, 1)
	out := receive(t, tree, 0, 0, e)
	expect(t, "an event", tos(out), []Link{2})
	expect(t, "a second later", tos(tree.Due(announceWait)), nil)
	if out.Gossip != nil || len(tree.Due(HoldTime).Gossip) > 0 {
		t.Error("the gossip of an event is let go that a passive neighbour was not told of")
	}
	pull := list(kindPull, 0, []ID{idIn(e)})
	expect(t, "it asks", tos(receive(t, tree, HoldTime, 1, pull)), []Link{1})
	expect(t, "the next event", tos(receive(t, tree, HoldTime, 0, eventOf("p", 1, 2))), []Link{1, 2})

	passive := Neighbour{Early: true, Passive: true}
	expect(t, "it is passive still", tos(tree.Update(HoldTime, 1, passive)), nil)
	expect(t, "one that becomes passive", tos(tree.Update(HoldTime, 2, passive)), nil)
	expect(t, "an event after that", tos(receive(t, tree, HoldTime, 0, eventOf("p", 1, 3))), []Link{1})
	expect(t, "it is chosen again", tos(tree.Update(HoldTime, 2, Neighbour{Early: true})), []Link{2})

	if a := tree.Remove(HoldTime, 2); len(a.Gossip) == 0 {
		t.Error("a lost neighbour lets nothing go")
	}
	receive(t, tree, HoldTime+ms, 0, eventOf("q", 1, 1))
	if a := tree.Remove(HoldTime+ms, 1); len(a.Gossip) > 0 {
		t.Errorf("a lost neighbour that was told of nothing lets go of %v", seqs(a))
	}
}

// tos are the receivers of messages.
func tos(a Actions) (all []Link) {
	for _, s := range a.Sends {
		all = append(all, s.To)
	}
	return all
}
