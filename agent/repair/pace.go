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
func (r *Repair) pace(t tally) time.Duration {
	r.mu.Lock()
	hurry := t.hurry || len(r.first) > 0
	r.mu.Unlock()
	if r.silent++; !t.waiting {
		r.silent, r.retry = 0, ""
	}
	r.resting = false
	switch {
	case hurry:
		return hurryWait
	case t.grown:
		return r.upperHalf(soonWait)
	case t.waiting && r.silent <= maxSilent:
		return r.upperHalf(silentWaits.Ceiling(r.silent))
	}
	r.resting = true
	return r.cfg.maxInterval
}

// draw gives the next peers: those that are to be asked first, one that did not
// answer, and then those whose turn it is. At least one has its turn: peers can have
// themselves asked first again and again.
//
// At rest it is one peer instead of two if there are near ones: all nodes together see what
// differs. It may be none, see spared.
func (r *Repair) draw() (peers []string) {
	alive := slices.Clone(r.cfg.Peers())
	slices.Sort(alive)
	alive = slices.Compact(alive)
	near := slices.DeleteFunc(slices.Clone(r.cfg.Near()), func(peer string) bool {
		_, there := slices.BinarySearch(alive, peer)
		return !there
	})
	now := time.Now()
	r.mu.Lock()
	busy := func(peer string) bool { return r.underway[peer] || now.Before(r.idled.until(peer)) }
	alive, near = slices.DeleteFunc(alive, busy), slices.DeleteFunc(near, busy)
	add := func(peer string) bool {
		if !slices.Contains(alive, peer) || slices.Contains(peers, peer) {
			return false
		}
		peers = append(peers, peer)
		return true
	}
	most := min(r.cfg.fanout, len(alive))
	rests := r.resting && len(r.first) == 0 && len(near) > 0
	if rests {
		most = 1
	}
	for len(r.first) > 0 && len(peers) < most {
		add(r.first[0])
		r.first = r.first[1:]
	}
	agreed := r.agreed
	r.agreed = ""
	r.mu.Unlock()
	if rests && slices.Contains(near, agreed) && r.turns.spare() {
		return nil
	}
	if r.silent <= maxSilent && len(peers) < most {
		add(r.retry)
	}
	for turns := 0; len(peers) < most || turns == 0 && len(peers) < len(alive); {
		if add(r.turns.next(alive, near, r.shuffled)) {
			turns++
		}
	}
	return peers
}

func (r *Repair) shuffled(peers []string) []string {
	peers = slices.Clone(peers)
	r.cfg.rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	return peers
}

// heardFrom notes with which digest a peer asked, of events of which this node has another
// one or the same.
func (r *Repair) heardFrom(peer string, theirs, ours journal.Digest) {
	if theirs != ours {
		r.differs(peer, theirs)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agreed = peer
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
