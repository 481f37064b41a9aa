package plumtree

import (
	"testing"
	"time"
)

// The page gives this bound: neighbours that take events, announce them, and send none delay
// an event behind them for so long, each of them once. From then on they are asked last.
func TestNodesThatPassNothingOnDelayLittle(t *testing.T) {
	const rtt = 1200 * time.Microsecond
	const honest, liars = Link(0), 5
	var neighbours []Neighbour
	for range 1 + liars {
		neighbours = append(neighbours, Neighbour{RTT: rtt, Early: true})
	}
	tree := newTree(t, neighbours...)
	begin := time.Second
	late := func(seq uint64) time.Duration {
		t.Helper()
		begin += time.Second
		e := eventOf("p", 1, seq)
		digest := list(kindDigest, 0, []ID{idIn(e)})
		for l := range Link(1 + liars) {
			receive(t, tree, begin, l, digest)
		}
		for {
			at, never := tree.Next()
			if never {
				t.Fatal("the honest neighbour is not asked")
			}
			for _, s := range tree.Due(at).Sends {
				if s.To == honest && kind(s.Message[0]) == kindPull {
					receive(t, tree, at+rtt, honest, e)
					return at + rtt - begin
				}
			}
		}
	}
	const least, each = 2*ms + 2*rtt, 4*ms + rtt*3/2
	extra := time.Duration(0)
	for seq := range uint64(100) { // which is asked first depends on the event
		extra += late(seq+1) - least
	}
	if extra < 0 || extra > liars*each {
		t.Errorf("all events together came %v too late, want %v at most", extra, liars*each)
	}
}
