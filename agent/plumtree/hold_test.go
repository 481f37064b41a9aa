package plumtree

import (
	"fmt"
	"testing"
	"time"
)

// holding is a node that holds gossip back, with so many neighbours.
func holding(t *testing.T, neighbours ...Neighbour) *Tree {
	t.Helper()
	tree := newTree(t, neighbours...)
	tree.SetHold(true)
	return tree
}

// let are the numbers of the events that are passed on by gossip.
func let(a Actions) (all []uint64) {
	for _, e := range a.Gossip {
		all = append(all, e.Seq)
	}
	return all
}

// until does all that is due, and returns which events were let go, and when.
func until(tree *Tree, end time.Duration) (all []string) {
	for {
		at, never := tree.Next()
		if never || at > end {
			return all
		}
		for _, seq := range let(tree.Due(at)) {
			all = append(all, fmt.Sprint(seq, " at ", at))
		}
	}
}

func TestGossipIsHeldBack(t *testing.T) {
	tree := holding(t, some(3)...)
	out := receive(t, tree, 0, 0, eventOf("p", 1, 1))
	if e := out.Events[0]; !e.Held || e.ID != idIn(eventOf("p", 1, 1)) {
		t.Errorf("received: %+v", e)
	}
	out, err := tree.Publish(0, []byte("payload"))
	if err != nil || !out.Held {
		t.Errorf("published: held is %v, %v", out.Held, err)
	}
	expect(t, "let go", until(tree, Recent), nil)
	if s := tree.Stats(); s.Held != 2 || s.LetGo != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAnEventIsNotHeld(t *testing.T) {
	for what, do := range map[string]func(*Tree){
		"nobody said so":    func(tree *Tree) { tree.SetHold(false) },
		"no neighbour":      func(tree *Tree) { tree.Remove(0, 0) },
		"not by default":    func(tree *Tree) { *tree = *newTree(t, some(1)...) },
		"it holds":          func(*Tree) {},
		"a link that stays": func(tree *Tree) { tree.Remove(0, 7) },
	} {
		tree := holding(t, some(1)...)
		do(tree)
		out, err := tree.Publish(0, nil)
		if want := what == "it holds" || what == "a link that stays"; err != nil || out.Held != want {
			t.Errorf("%s: held is %v, want %v; %v", what, out.Held, want, err)
		}
	}
	tree := holding(t, some(1)...)
	receive(t, tree, 0, 0, eventOf("p", 1, 1), eventOf("p", 1, 3))
	tree.Due(OrderWait)
	if e := receive(t, tree, OrderWait, 0, eventOf("p", 1, 2)).Events[0]; !e.Late || e.Held {
		t.Errorf("a late event: %+v", e)
	}
}

func TestWhatLetsGossipGo(t *testing.T) {
	const end = HoldTime
	e := eventOf("p", 1, 1)
	digest := list(kindDigest, 0, []ID{idIn(e)})
	add := func(tree *Tree, at time.Duration) {
		if _, _, err := tree.Add(at, Neighbour{Name: "new"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what string
		do   func(*Tree)
		want []string
	}{
		{"nothing", func(*Tree) {}, nil},
		{"a stuck link", func(tree *Tree) { tree.SetStuck(1, true) }, []string{"1 at 4s"}},
		{"one that was stuck", func(tree *Tree) { tree.SetStuck(1, true); tree.SetStuck(1, false) }, nil},
		{"a stuck link to one that has it", func(tree *Tree) {
			receive(t, tree, ms, 1, digest)
			tree.SetStuck(1, true)
		}, nil},
		{"the stuck link that it came by", func(tree *Tree) { tree.SetStuck(0, true) }, nil},
		{"a neighbour that came just now", func(tree *Tree) {
			until(tree, end-time.Second)
			add(tree, end-time.Second)
		}, []string{"1 at 4s"}},
		{"one that has been there for a while", func(tree *Tree) {
			until(tree, end-acknowledged)
			add(tree, end-acknowledged)
		}, nil},
		{"a pull just now", func(tree *Tree) {
			until(tree, end-time.Second)
			receive(t, tree, end-time.Second, 1, list(kindPull, 0, []ID{idIn(e)}))
		}, []string{"1 at 4s"}},
		{"the caller", func(tree *Tree) { tree.SetHold(false) }, []string{"1 at 0s"}},
		{"the caller, too late", func(tree *Tree) {
			until(tree, end)
			tree.SetHold(false)
		}, nil},
		{"gossip itself", func(tree *Tree) {
			tree.Gossiped(idIn(e))
			tree.SetHold(false)
		}, nil},
		{"Due was late", func(tree *Tree) {
			expect(t, "late", let(tree.Due(end)), []uint64{1}) // the digests have gone just now
		}, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			tree := holding(t, Neighbour{Early: true}, Neighbour{})
			receive(t, tree, 0, 0, e)
			c.do(tree)
			expect(t, "let go", until(tree, Recent), c.want)
		})
	}
}

// The neighbour may have died before it passed the event on. That may have gone unnoticed
// for longer than events are held.
func TestALostLinkLetsGossipGo(t *testing.T) {
	for at, want := range map[time.Duration][]uint64{
		ms: {1, 2}, HoldTime - ms: {1, 2}, HoldTime + ms: {1, 2},
		Watched + announceWait - ms: {1, 2}, Watched + announceWait + ms: nil,
	} {
		for l := range Link(3) {
			tree := holding(t, Neighbour{Early: true}, Neighbour{Early: true}, Neighbour{})
			receive(t, tree, 0, 0, eventOf("p", 1, 1), eventOf("p", 1, 2))
			expect(t, "before", until(tree, at), nil)
			out := tree.Remove(at, l)
			expect(t, fmt.Sprintf("link %d lost at %v", l, at), let(out), want)
			for _, e := range out.Gossip {
				if e.Publisher != "p" || e.Incarnation != 1 || string(e.Payload) != "payload" || e.ID != idIn(eventOf("p", 1, e.Seq)) {
					t.Errorf("let go: %+v", e)
				}
			}
			expect(t, "again", let(tree.Remove(at, (l+1)%3)), nil)
		}
	}
}

// A neighbour may go and come again as an older version, which only gossip serves.
func TestANeighbourComesAgainAsAnotherVersion(t *testing.T) {
	tree := holding(t, some(2)...)
	event := func(at time.Duration, seq uint64) Event {
		return receive(t, tree, at, 0, eventOf("p", 1, seq)).Events[0]
	}
	if !event(0, 1).Held {
		t.Error("the first is not held")
	}
	expect(t, "it goes", let(tree.Remove(ms, 1)), []uint64{1})
	if !event(2*ms, 2).Held {
		t.Error("the second is not held, although the neighbour is gone")
	}
	tree.SetHold(false) // it is there, and is no agent of the tree
	expect(t, "it comes again", until(tree, 3*ms), []string{"2 at 2ms"})
	if event(3*ms, 3).Held {
		t.Error("the third is held")
	}
	tree.SetHold(true) // it is gone for good
	if !event(4*ms, 4).Held {
		t.Error("the fourth is not held")
	}
	expect(t, "let go later", until(tree, Recent), nil)
}

// Memory that is needed for others is let go of with gossip, until the tree has shown that
// it carries the event.
func TestWhatIsPushedOutIsLetGo(t *testing.T) {
	big := func(seq uint64) []byte {
		return appendBody(eventHead(nil, false, 0, 0), "p", 1, seq, make([]byte, 1<<20))
	}
	small := func(seq uint64) []byte { return eventOf("p", 1, seq) }
	for _, c := range []struct {
		what  string
		event func(uint64) []byte
		fit   uint64
	}{{"bytes", big, 3}, {"events", small, maxRecent}} {
		tree := holding(t, some(2)...)
		var all []uint64
		for seq := range c.fit + 2 {
			all = append(all, let(receive(t, tree, 0, 0, c.event(seq+1)))...)
		}
		expect(t, c.what, all, []uint64{1, 2})
		until(tree, HoldTime)
		expect(t, c.what+", later", let(receive(t, tree, HoldTime, 0, c.event(c.fit+3))), nil)
	}
	tree := holding(t, some(2)...)
	receive(t, tree, 0, 0, small(1))
	expect(t, "forgotten, since Due was not called", let(receive(t, tree, Recent, 0, small(2))), []uint64{1})
}

// The publisher sends to all, and answers for all of them. The others answer for those
// that they tell.
func TestGossipOfEventsToAll(t *testing.T) {
	neighbours := []Neighbour{{Early: true}, {}, {}}
	direct := func(tree *Tree) {
		receive(t, tree, 0, 1, appendBody(eventHead(nil, true, 0, 0), "n1", 1, 1, nil))
	}
	publish := func(tree *Tree) {
		tree.SetFull(true)
		if _, err := tree.Publish(0, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what  string
		event func(*Tree)
		stuck Link
		want  []string
	}{
		{"one that is told", direct, 0, []string{"1 at 4s"}},
		{"one that is not", direct, 2, nil},
		{"one that it was sent to", publish, 2, []string{"1 at 4s"}},
	} {
		tree := holding(t, neighbours...)
		c.event(tree)
		tree.SetStuck(c.stuck, true)
		expect(t, "stuck: "+c.what, until(tree, Recent), c.want)
	}
}
