package plumtree

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// One of several copies that cross to a region goes on crossing.
func TestOneCopyCrosses(t *testing.T) {
	far := Neighbour{RTT: 100 * ms, Early: true}
	tree := newTree(t, far, Neighbour{Early: true})
	e := eventOf("p", 1, 1)
	out := receive(t, tree, 0, 0, e)
	expect(t, "landed", kinds(t, out), []string{"digest to 1"})
	if got, want := out.Sends[0].Message[1:3], list(kindDigest, tree.landing, []ID{1})[1:3]; !slices.Equal(got, want) {
		t.Errorf("the landing is % x, want % x", got, want)
	}
	higher := list(kindDigest, min(tree.landing+1, maxLanding), []ID{idIn(e)})
	expect(t, "a higher landing", kinds(t, receive(t, tree, ms, 1, higher)), nil)
	lower := list(kindDigest, tree.landing-1, []ID{idIn(e)})
	expect(t, "a lower landing", kinds(t, receive(t, tree, 2*ms, 1, lower)), []string{"prune to 0", "graft to 1"})
	// The far neighbour does not know yet. Nobody is to give way to its copies, and they
	// change nothing.
	next := eventOf("p", 1, 2)
	out = receive(t, tree, 3*ms, 0, next)
	if got, want := out.Sends[0].Message[1:3], list(kindDigest, stray, []ID{1})[1:3]; !slices.Equal(got, want) {
		t.Errorf("the landing is % x, want % x", got, want)
	}
	expect(t, "the near copy of it", kinds(t, receive(t, tree, 9*ms, 1, next)), nil)
	// It may have come before the copy from far.
	e = eventOf("q", 1, 1)
	receive(t, tree, 10*ms, 1, list(kindDigest, tree.landing-1, []ID{idIn(e)}))
	expect(t, "a lower landing before", kinds(t, receive(t, tree, 11*ms, 0, e)), []string{"prune to 0", "graft to 1"})
}

// If an event is late, a node in another region is asked for it alone. Mostly a near
// neighbour is faster than the answer, and the next events need not cross.
func TestNothingMoreIsAskedOfFar(t *testing.T) {
	far := Neighbour{RTT: 100 * ms, Early: true}
	tree := newTree(t, far, Neighbour{Early: true})
	ask := func(e []byte) {
		t.Helper()
		receive(t, tree, 0, 0, list(kindDigest, 0, []ID{idIn(e)}))
		at, _ := tree.Next()
		expect(t, "asked", kinds(t, tree.Due(at)), []string{"fetch to 0"})
	}
	fetched := func(e []byte) []string {
		t.Helper()
		return kinds(t, receive(t, tree, 0, 1, list(kindFetch, 0, []ID{idIn(e)})))
	}
	e := eventOf("p", 1, 1)
	ask(e)
	expect(t, "from near", kinds(t, receive(t, tree, 0, 1, e)), nil)
	expect(t, "the answer", kinds(t, receive(t, tree, 0, 0, e)), []string{"prune to 0"})
	// If the answer is the first, the next ones come by this way.
	e = eventOf("p", 1, 2)
	ask(e)
	expect(t, "the answer is first", kinds(t, receive(t, tree, 0, 0, e)), []string{"graft to 0", "digest to 1"})
	// Who fetches an event gets no later ones.
	expect(t, "fetched", fetched(e), []string{"event to 1"})
	expect(t, "the next", kinds(t, receive(t, tree, 0, 0, eventOf("p", 1, 3))), []string{"digest to 1"})
}

// Where the digest of a neighbour in another region comes long before the event, its way is
// shorter. A node grafts it, but few nodes do so, and seldom.
func TestTheShorterWayFromFarIsGrafted(t *testing.T) {
	tree := newTree(t, Neighbour{RTT: 100 * ms}, Neighbour{Early: true})
	grafts, last := 0, -shortcutWait
	const events = 400
	for seq := range uint64(events) {
		now := time.Duration(seq) * 2 * time.Second
		e := eventOf("p", 1, seq+1)
		lead := shortcutLead
		if seq%2 == 0 {
			lead -= ms
		}
		receive(t, tree, now, 0, list(kindDigest, 0, []ID{idIn(e)}))
		for _, k := range kinds(t, receive(t, tree, now+lead, 1, e)) {
			if k != "graft to 0" {
				continue
			}
			grafts++
			if lead < shortcutLead || now+lead-last < shortcutWait {
				t.Errorf("grafted at %v with a lead of %v, after %v", now, lead, last)
			}
			last = now + lead
		}
	}
	// There are 80 times of shortcutWait, and one node in sixteen does so in each.
	if grafts < 1 || grafts > 20 {
		t.Errorf("grafted %d times", grafts)
	}
}

// Links that were grafted for two events of a time bring one copy too many, until it comes.
func TestASecondLinkFromFarIsPruned(t *testing.T) {
	far := Neighbour{RTT: 100 * ms}
	tree := newTree(t, far, far, Neighbour{Early: true})
	for l, e := range [][]byte{eventOf("p", 1, 1), eventOf("p", 1, 2)} {
		receive(t, tree, 0, Link(l), list(kindDigest, 0, []ID{idIn(e)}))
		at, _ := tree.Next()
		tree.Due(at)
		expect(t, "pulled", kinds(t, receive(t, tree, at, Link(l), e)), []string{fmt.Sprint("graft to ", l), "digest to 2"})
	}
	e := eventOf("p", 1, 3)
	out := receive(t, tree, 0, 0, e)
	expect(t, "the first copy", kinds(t, out), []string{"digest to 2"})
	if got, want := out.Sends[0].Message[1:3], list(kindDigest, tree.landing, []ID{1})[1:3]; !slices.Equal(got, want) {
		t.Errorf("the landing is % x, want % x", got, want)
	}
	expect(t, "the second", kinds(t, receive(t, tree, 0, 1, e)), []string{"prune to 0"})
	e = eventOf("p", 1, 4)
	receive(t, tree, 0, 1, e)
	lower := list(kindDigest, tree.landing-1, []ID{idIn(e)})
	expect(t, "a lower landing", kinds(t, receive(t, tree, 0, 2, lower)), []string{"prune to 1", "graft to 2"})
}

// A neighbour that claims the lowest landing and sends nothing has others give way to it
// a few times.
func TestNobodyGivesWayToEmptyClaimsForEver(t *testing.T) {
	tree := newTree(t, Neighbour{RTT: 100 * ms, Early: true}, Neighbour{Early: true})
	gaveWay := 0
	for seq := uint64(1); seq <= 10; seq++ {
		now := time.Duration(seq) * time.Second
		e := eventOf("p", 1, seq)
		digest := list(kindDigest, 0, []ID{idIn(e)})
		receive(t, tree, now, 0, digest)
		tree.Due(now + farLateness + 200*ms)
		receive(t, tree, now+300*ms, 0, e)
		for _, k := range kinds(t, receive(t, tree, now+301*ms, 1, digest)) {
			if k == "graft to 1" {
				gaveWay++
			}
		}
	}
	if gaveWay != letDowns {
		t.Errorf("gave way %d times, want %d", gaveWay, letDowns)
	}
}
