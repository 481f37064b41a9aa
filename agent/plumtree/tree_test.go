package plumtree

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// newTree makes a node with neighbours n0, n1 and so on, whose numbers are 0, 1 and so on.
func newTree(t *testing.T, neighbours ...Neighbour) *Tree {
	t.Helper()
	tree, err := New(Config{Self: "self", Incarnation: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range neighbours {
		n.Name = fmt.Sprint("n", i)
		if l, _, err := tree.Add(0, n); err != nil || l != Link(i) {
			t.Fatalf("neighbour %d has number %d: %v", i, l, err)
		}
	}
	return tree
}

// some are so many neighbours that get digests at once.
func some(n int) []Neighbour { return slices.Repeat([]Neighbour{{Early: true}}, n) }

func eventOf(name string, inc, seq uint64) []byte {
	return appendBody(eventHead(nil, false, 0, 0), name, inc, seq, []byte("payload"))
}

func idIn(msg []byte) ID {
	var m message
	if m.read(msg) != nil || m.kind != kindEvent {
		panic("no event")
	}
	return m.id()
}

func receive(t *testing.T, tree *Tree, now time.Duration, from Link, msgs ...[]byte) Actions {
	t.Helper()
	out, err := tree.Receive(now, from, msgs...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kinds are the messages to be sent, as "KIND to NEIGHBOUR".
func kinds(t *testing.T, a Actions) (all []string) {
	t.Helper()
	names := map[kind]string{kindEvent: "event", kindDigest: "digest", kindPull: "pull", kindGraft: "graft", kindPrune: "prune", kindFetch: "fetch"}
	for _, s := range a.Sends {
		var m message
		if err := m.read(s.Message); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(names[m.kind], " to ", s.To))
	}
	return all
}

func seqs(a Actions) (all []uint64) {
	for _, e := range a.Events {
		n := e.Seq
		if e.Late {
			n += 1000
		}
		all = append(all, n)
	}
	return all
}

func expect[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

const ms = time.Millisecond

func TestAnEventGoesAlongTheTree(t *testing.T) {
	tree := newTree(t, Neighbour{Backbone: true}, Neighbour{Early: true}, Neighbour{}, Neighbour{Backbone: true})
	e := eventOf("p", 1, 1)
	out := receive(t, tree, 0, 0, e)
	expect(t, "delivered", seqs(out), []uint64{1})
	expect(t, "sent", kinds(t, out), []string{"event to 3", "digest to 1"})
	expect(t, "a copy by another link", kinds(t, receive(t, tree, ms, 2, e)), []string{"prune to 2"})
	expect(t, "a prune and the next event", kinds(t, receive(t, tree, 2*ms, 3, list(kindPrune, 0, []ID{idIn(e)}))), nil)
	out = receive(t, tree, 3*ms, 0, eventOf("p", 1, 2))
	expect(t, "after the prune", kinds(t, out), []string{"digest to 1"})
	// The rest is told within a second, in one message for each neighbour.
	if at, never := tree.Next(); never || at != announceWait {
		t.Errorf("the next is due at %v", at)
	}
	out = tree.Due(announceWait)
	expect(t, "a second later", kinds(t, out), []string{"digest to 2", "digest to 3"})
}

func TestALateEventIsPulledFromOneAfterTheOther(t *testing.T) {
	tree := newTree(t, some(3)...)
	e := eventOf("p", 1, 1)
	digest := list(kindDigest, 0, []ID{idIn(e)})
	receive(t, tree, 0, 1, digest)
	receive(t, tree, ms, 2, digest)
	asked := map[Link]time.Duration{}
	for range 2 {
		at, _ := tree.Next()
		out := tree.Due(at)
		if len(out.Sends) != 1 || kind(out.Sends[0].Message[0]) != kindPull {
			t.Fatalf("at %v: %v", at, kinds(t, out))
		}
		asked[out.Sends[0].To] = at
	}
	if len(asked) != 2 || min(asked[1], asked[2]) != lateness || max(asked[1], asked[2]) != 3*lateness {
		t.Errorf("asked at %v", asked)
	}
	// Both were asked. Who has it now is asked soon.
	receive(t, tree, 20*ms, 0, digest)
	if at, _ := tree.Next(); at != 20*ms+lateness {
		t.Errorf("the third is asked at %v", at)
	}
	// A neighbour that is gone does not answer.
	tree.Due(20*ms + lateness)
	tree.Remove(22*ms+lateness, 0)
	out := receive(t, tree, 30*ms, 1, e)
	expect(t, "delivered", seqs(out), []uint64{1})
	if s := tree.Stats(); s.Wanted != 0 || s.Pulls != 3 || s.Missed != 0 {
		t.Errorf("%+v", s)
	}
	if p := tree.publishers.byName["p"]; p.parent != 1 {
		t.Errorf("the parent is %d", p.parent)
	}
}

// If the neighbour that was asked for an event goes, the next one is asked at once.
func TestAPullGoesToAnotherOnceItsNeighbourIsGone(t *testing.T) {
	tree := newTree(t, some(3)...)
	digest := list(kindDigest, 0, []ID{idIn(eventOf("p", 1, 1))})
	receive(t, tree, 0, 1, digest)
	receive(t, tree, 0, 2, digest)
	at, _ := tree.Next()
	first := tree.Due(at).Sends[0].To
	out := tree.Remove(at, first)
	if due, never := tree.Next(); len(out.Sends) == 0 && (never || due != at) {
		t.Fatalf("the next is asked at %v (never: %v), want it at %v", due, never, at)
	}
	sends := append(out.Sends, tree.Due(at).Sends...)
	if want := Link(3) - first; len(sends) != 1 || sends[0].To != want || kind(sends[0].Message[0]) != kindPull {
		t.Errorf("%v, want a pull to %d", sends, want)
	}
}

// A neighbour that announces what does not exist is asked once for each, and for no more
// than maxAnnounced in ten seconds.
func TestAnnouncedEventsThatDoNotExist(t *testing.T) {
	tree := newTree(t, some(2)...)
	var ids []ID
	for id := range ID(10_000) {
		ids = append(ids, id)
	}
	pulled := 0
	for now := time.Duration(0); now < WantedFor; now += 100 * ms {
		for some := range slices.Chunk(ids, maxIDs) {
			receive(t, tree, now, 0, list(kindDigest, 0, some))
		}
		for _, s := range tree.Due(now).Sends {
			var m message
			if err := m.read(s.Message); err != nil || m.kind != kindPull || s.To != 0 {
				t.Fatalf("to %d: % x", s.To, s.Message[:4])
			}
			pulled += len(m.ids)
		}
	}
	s := tree.Stats()
	if pulled != maxAnnounced || s.Wanted != maxAnnounced || s.Ignored == 0 {
		t.Errorf("%d pulls, %+v", pulled, s)
	}
	// Its pulls hold up no other neighbour's events.
	e := eventOf("p", 1, 1)
	digest := list(kindDigest, 0, []ID{idIn(e)})
	receive(t, tree, WantedFor, 0, digest)
	receive(t, tree, WantedFor, 1, digest)
	tree.Due(WantedFor)
	out := tree.Due(WantedFor + lateness)
	expect(t, "the neighbour with fewer pulls unanswered", kinds(t, out), []string{"pull to 1"})
	tree.Due(2*WantedFor + 100*ms)
	if s := tree.Stats(); s.Wanted != 0 || s.Missed != maxAnnounced+1 {
		t.Errorf("after %v: %+v", 2*WantedFor, s)
	}
}

// An event goes over a link once, however often it is asked for.
func TestAnEventIsServedOnce(t *testing.T) {
	tree := newTree(t, some(2)...)
	e := eventOf("p", 1, 1)
	receive(t, tree, 0, 0, e)
	pull := list(kindPull, 0, []ID{idIn(e), 99})
	expect(t, "the first pull", kinds(t, receive(t, tree, 5*ms, 1, pull)), []string{"event to 1"})
	expect(t, "the next", kinds(t, receive(t, tree, 6*ms, 1, pull, pull)), nil)
	expect(t, "the next event", kinds(t, receive(t, tree, 7*ms, 0, eventOf("p", 1, 2))), []string{"event to 1"})
}

// However many neighbours pull, a publisher's events go whole to few of them.
func TestTheTreeHasFewBranches(t *testing.T) {
	tree := newTree(t, some(20)...)
	e := eventOf("p", 1, 1)
	receive(t, tree, 0, 0, e)
	for l := Link(1); l < 20; l++ {
		expect(t, "pulled", kinds(t, receive(t, tree, ms, l, list(kindPull, 0, []ID{idIn(e)}))), []string{fmt.Sprint("event to ", l)})
	}
	whole := 0
	for _, k := range kinds(t, receive(t, tree, 2*ms, 0, eventOf("p", 1, 2))) {
		if k[:5] == "event" {
			whole++
		}
	}
	if whole != maxEager {
		t.Errorf("%d neighbours get the next event, want %d", whole, maxEager)
	}
}

func TestOrder(t *testing.T) {
	tree := newTree(t, some(1)...)
	at := func(now time.Duration, inc, seq uint64) []uint64 {
		return seqs(receive(t, tree, now, 0, eventOf("p", inc, seq)))
	}
	due := func(now time.Duration) []uint64 { return seqs(tree.Due(now)) }
	expect(t, "the first that was heard of waits", at(0, 1, 5), nil)
	expect(t, "one before it as well", at(ms, 1, 4), nil)
	expect(t, "not long", due(firstWait), []uint64{4, 5})
	expect(t, "the next", at(30*ms, 1, 6), []uint64{6})
	expect(t, "one too far", at(40*ms, 1, 8), nil)
	expect(t, "and another", at(50*ms, 1, 10), nil)
	expect(t, "the one between", at(60*ms, 1, 7), []uint64{7, 8})
	expect(t, "too early", due(1049*ms), nil)
	expect(t, "9 did not come", due(1050*ms), []uint64{10})
	expect(t, "9 comes late", at(1100*ms, 1, 9), []uint64{1009})
	expect(t, "another incarnation", at(1200*ms, 3, 1), []uint64{1})
	expect(t, "the one before it", at(1300*ms, 1, 11), []uint64{1011})
	expect(t, "one of which the beginning did not come", at(1400*ms, 4, 3), nil)
	expect(t, "it waits a little", due(1420*ms), []uint64{3})
	if s := tree.Stats(); s.Waiting != 0 || s.Late != 2 || tree.waiting.bytes != 0 || len(tree.waiting.publishers) != 0 {
		t.Errorf("%+v, %d bytes wait", s, tree.waiting.bytes)
	}
}

func TestTheWaitingAreLimited(t *testing.T) {
	tree := newTree(t, some(1)...)
	receive(t, tree, 0, 0, eventOf("p", 1, 1))
	n := 0
	for seq := range uint64(maxWaiting + 1) {
		n += len(receive(t, tree, ms, 0, eventOf("p", 1, seq+3)).Events)
	}
	if s := tree.Stats(); n != maxWaiting+1 || s.Waiting != 0 || s.Overflows != 1 {
		t.Errorf("%d delivered, %+v", n, s)
	}
	for p := range 3 * maxPublishers {
		receive(t, tree, 2*ms, 0, eventOf(fmt.Sprint(p), 1, 2))
	}
	if s := tree.Stats(); s.Publishers != maxPublishers || s.Waiting > maxPublishers || len(tree.waiting.publishers) != s.Waiting {
		t.Errorf("%+v, %d publishers with some", s, len(tree.waiting.publishers))
	}
}

func TestTheRememberedAreLimited(t *testing.T) {
	tree := newTree(t, some(1)...)
	big := make([]byte, 1<<20)
	for seq := range uint64(8) {
		receive(t, tree, 0, 0, appendBody(eventHead(nil, false, 0, 0), "p", 1, seq+1, big))
	}
	if s := tree.Stats(); s.Recent != 8 || s.RecentBytes > maxRecentBytes || s.RecentBytes < maxRecentBytes/2 {
		t.Errorf("%+v", s)
	}
	for seq := range uint64(2 * maxRecent) {
		receive(t, tree, 0, 0, eventOf("p", 1, seq+9))
	}
	if s := tree.Stats(); s.Recent != maxRecent {
		t.Errorf("%+v", s)
	}
	tree.Due(Recent)
	if s := tree.Stats(); s.Recent != 0 || s.RecentBytes != 0 {
		t.Errorf("after %v: %+v", Recent, s)
	}
	if at, never := tree.Next(); !never {
		t.Errorf("something is due at %v", at)
	}
}

func TestToAllAtOnce(t *testing.T) {
	tree := newTree(t, Neighbour{Early: true}, Neighbour{}, Neighbour{})
	tree.SetFull(true)
	out, err := tree.Publish(0, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "published", kinds(t, out), []string{"event to 0", "event to 1", "event to 2"})
	msg := appendBody(eventHead(nil, true, 0, 0), "n0", 1, 1, nil)
	expect(t, "received", kinds(t, receive(t, tree, 0, 0, msg)), nil)
	// Only the publisher can say that it does so.
	msg = appendBody(eventHead(nil, true, 0, 0), "n0", 1, 2, nil)
	expect(t, "of another", kinds(t, receive(t, tree, 0, 1, msg)), []string{"digest to 0"})
}

func TestNeighboursAreLimited(t *testing.T) {
	tree := newTree(t, some(MaxLinks)...)
	if _, _, err := tree.Add(0, Neighbour{Name: "one more"}); err != ErrFull {
		t.Errorf("one more: %v", err)
	}
	tree.Remove(0, 7)
	tree.Remove(0, 7)
	if _, _, err := tree.Add(0, Neighbour{Name: "n3"}); err == nil {
		t.Error("a neighbour is taken twice")
	}
	if l, _, err := tree.Add(0, Neighbour{Name: "one more"}); l != 7 || err != nil {
		t.Errorf("in its place: %d, %v", l, err)
	}
	if _, err := tree.Receive(0, 7, []byte{0}); err == nil {
		t.Error("nonsense is taken")
	}
	tree.Remove(0, 7)
	if _, err := tree.Receive(0, 7, eventOf("p", 1, 1)); err == nil {
		t.Error("an event of no neighbour is taken")
	}
	for _, name := range []string{"", string(make([]byte, MaxName+1))} {
		if _, err := New(Config{Self: name}); err == nil {
			t.Errorf("a name of %d bytes is taken", len(name))
		}
	}
}

// A new neighbour hears of the last events, and gets those that it lacks with their age.
func TestANewNeighbourIsTold(t *testing.T) {
	tree := newTree(t, some(1)...)
	old, e := eventOf("p", 1, 1), eventOf("p", 1, 2)
	receive(t, tree, 0, 0, old)
	receive(t, tree, 5*time.Second, 0, e)
	l, out, err := tree.Add(12*time.Second, Neighbour{Name: "new"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "told", kinds(t, out), []string{"digest to 1"})
	out = receive(t, tree, 12*time.Second, l, list(kindPull, 0, []ID{idIn(e), idIn(old)}))
	var ages []uint64
	for _, s := range out.Sends {
		var m message
		if err := m.read(s.Message); err != nil {
			t.Fatal(err)
		}
		ages = append(ages, m.age)
	}
	expect(t, "ages", ages, []uint64{28, 48})
}
