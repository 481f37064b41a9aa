package repair

import "slices"

// farEvery is of how many turns one is of all peers, if some are near: near ones may be
// liars, or be flushed in place of getting an event.
const farEvery = 4

// turns tells whose turn it is to be asked. Peers have their turns in the order of shuffled
// decks, so that each gets one. With near peers there are two decks.
type turns struct {
	all, near []string // peers that are still to be asked
	count     int
	spared    bool // the last turn was
}

// next takes a turn. alive are all peers, of which there is one at least.
func (t *turns) next(alive, near []string, shuffled func([]string) []string) string {
	t.count++
	t.spared = false
	if len(near) > 0 && t.count%farEvery != 0 {
		return pop(&t.near, near, shuffled)
	}
	return pop(&t.all, alive, shuffled)
}

// spare leaves a turn of a near peer out, since a near peer has asked here instead. Its
// question shows that both have the same events, as its turn would. It shows nothing of what
// the peer has let go of, and a liar can ask at will. So no two turns in a row are left out,
// and none of all peers.
func (t *turns) spare() bool {
	if t.spared || (t.count+1)%farEvery == 0 {
		return false
	}
	t.count++
	t.spared = true
	return true
}

// pop takes the next peer off a deck, which it fills if it is empty.
func pop(deck *[]string, peers []string, shuffled func([]string) []string) (peer string) {
	for len(*deck) > 0 {
		peer, *deck = (*deck)[0], (*deck)[1:]
		if slices.Contains(peers, peer) {
			return peer
		}
	}
	*deck = shuffled(peers)
	peer, *deck = (*deck)[0], (*deck)[1:]
	return peer
}
