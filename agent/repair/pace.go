package repair

import (
	"slices"
	"time"

	"agentctl/handler/backoff"
	"agentctl/handler/journal"
)

// maxSilent is after how many rounds in a row, in which a peer did not answer,
// it is left to its turn.
const maxSilent = 5

// silentWaits are the most after rounds in which a peer did not answer.
var silentWaits = backoff.Backoff{Min: soonWait, Max: soonWait << (maxSilent - 1)}

// pace tells how long after a round the next one may wait at most.
func (r *Repair) pace(hurry, grown, silent bool) time.Duration {
	r.mu.Lock()
	hurry = hurry || len(r.first) > 0
	r.mu.Unlock()
	if r.silent++; !silent {
		r.silent, r.retry = 0, ""
	}
	switch {
	case hurry:
		return hurryWait
	case grown:
		return r.upperHalf(soonWait)
	case silent && r.silent <= maxSilent:
		return r.upperHalf(silentWaits.Ceiling(r.silent))
	}
	return r.cfg.maxInterval
}

// draw gives the next peers: those that are to be asked first, one that did not
// answer, and then those of a shuffled deck, so that each has its turn.
func (r *Repair) draw() (peers []string) {
	alive := slices.Clone(r.cfg.Peers())
	slices.Sort(alive)
	alive = slices.Compact(alive)
	add := func(peer string) {
		if slices.Contains(alive, peer) && !slices.Contains(peers, peer) {
			peers = append(peers, peer)
		}
	}
	most := min(r.cfg.fanout, len(alive))
	r.mu.Lock()
	for len(r.first) > 0 && len(peers) < most {
		add(r.first[0])
		r.first = r.first[1:]
	}
	r.mu.Unlock()
	if r.silent <= maxSilent && len(peers) < most {
		add(r.retry)
	}
	for len(peers) < most {
		if len(r.deck) == 0 {
			r.deck = r.shuffled(alive)
		}
		add(r.deck[0])
		r.deck = r.deck[1:]
	}
	return peers
}

func (r *Repair) shuffled(peers []string) []string {
	peers = slices.Clone(peers)
	r.cfg.rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	return peers
}

// differs has a peer asked which asked here with another digest than that of
// this log: one of the two lacks something, and what the peer lacks it sees
// itself. The same difference counts once, since it may be there to stay: of two
// nodes of unlike age the younger does not want all that the older has.
func (r *Repair) differs(peer string, theirs journal.Digest) {
	r.mu.Lock()
	again := r.differed[peer] == theirs
	if _, known := r.differed[peer]; !known && len(r.differed) >= maxPeers {
		clear(r.differed)
	}
	r.differed[peer] = theirs
	r.mu.Unlock()
	if !again {
		r.Meet(peer, "a peer has another digest")
	}
}
