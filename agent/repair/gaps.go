package repair

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/text"
)

// A peer can say at each comparison that it has let go of events. Nobody can tell
// whether that is true, so none of its doubts may be dropped; but they may wait and
// share one flush. The first follows at once.
var gapWaits = backoff.Backoff{Min: time.Minute, Max: 16 * time.Minute}

const (
	// gapBurst is how many flushes may follow each other for the sake of different peers,
	// and gapEvery how often one more may: a liar can join under many names.
	gapBurst = 4
	gapEvery = time.Minute
	// maxGapReason is in bytes. Of many peers the reason names the first.
	maxGapReason = 256
	// gapLogEvery is how often, at most, the log says that a flush waits.
	gapLogEvery = 10 * time.Second
)

// pendingGap is a flush that is due later. state.pending has its reason, and so the
// next process knows of it.
type pendingGap struct {
	due   time.Time
	peers []string // whose doubts wait for it
}

// deferGap lets a doubt wait for a flush that is due later, or tells that the flush may
// follow at once. Until then events are fetched as ever.
func (r *Repair) deferGap(d *doubtError) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.state.born.Equal(d.born) {
		return false // a flush has come meanwhile
	}
	due := r.flushed.until(d.peer)
	if tokens := r.gapRate.TokensAt(now); tokens < 1 {
		due = later(due, now.Add(time.Duration((1-tokens)*float64(gapEvery))))
	}
	if !due.After(now) {
		return false
	}
	if r.state.pending == "" {
		r.state.pending, r.pending = gapReason([]*doubtError{d}), pendingGap{due: due}
	}
	if due.Before(r.pending.due) {
		r.pending.due = due
	}
	if len(r.pending.peers) < maxPeers && !slices.Contains(r.pending.peers, d.peer) {
		r.pending.peers = append(r.pending.peers, d.peer)
	}
	r.metrics.waiting.Set(1)
	r.sampled.Log(slog.LevelWarn, "repair: a peer has gateways flushed again and again: its next flush waits", gapLogEvery,
		"peer", d.peer, "reason", d.Error(), "flush_in", r.pending.due.Sub(now).Round(time.Second))
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// gapDue tells whether the flush that was to wait has waited long enough.
func (r *Repair) gapDue() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.pending != "" && !time.Now().Before(r.pending.due)
}

// Warnings say that a flush is due later, if one is. It returns at once.
func (r *Repair) Warnings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.pending == "" {
		return nil
	}
	wait := max(time.Until(r.pending.due), 0).Round(time.Second)
	return []string{fmt.Sprintf("a flush of all targets waits for another %s, since peers that had caused flushes before cause one again: %s; "+
		"until then this node may lack events: %s", wait, text.Excerpt(strings.Join(r.pending.peers, ", "), maxGapReason), r.state.pending)}
}

// gapReason names the peers whose doubts lead to a flush.
func gapReason(doubts []*doubtError) string {
	var all []string
	for _, d := range doubts {
		all = append(all, d.Error())
	}
	return text.Excerpt("events may be lacking that no peer has any more: "+strings.Join(all, "; "), maxGapReason)
}

// gap has the gateways flushed, for the doubts of now and those that waited. With that
// the node is as good as new: it wants what was published from now on. So nothing is
// lacking of what the peers that were just asked had then, and what they let go of of
// that is no doubt any more. Of other logs it is looked up, by time, where they stood;
// and as that goes by other clocks, by bornMargin earlier.
func (r *Repair) gap(doubts []*doubtError) {
	now, clock := time.Now(), r.cfg.Clock()
	r.mu.Lock()
	reason, peers := r.state.pending, slices.Clone(r.pending.peers)
	r.mu.Unlock()
	if len(doubts) > 0 {
		reason = gapReason(doubts)
	}
	for _, d := range doubts {
		if !slices.Contains(peers, d.peer) {
			peers = append(peers, d.peer)
		}
	}
	if err := r.cfg.Gap(reason); err != nil {
		r.cfg.Logger.Error("repair: the gateways could not be marked for a flush", "reason", reason, "error", err)
		return
	}
	r.cfg.Logger.Warn("repair: gateways are flushed", "reason", reason, "peers", text.Excerpt(strings.Join(peers, " "), maxGapReason))
	r.metrics.gaps.Inc()
	r.metrics.waiting.Set(0)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gapRate.AllowN(now, 1)
	for _, peer := range peers {
		r.flushed.add(peer, now, gapWaits)
	}
	r.pending = pendingGap{}
	r.state.bear(now, clock)
	for peer, h := range r.heads {
		if now.Sub(h.at) < bornMargin {
			r.state.meet(peer, h.watermark, journal.Digest{}, now)
		}
	}
}

// strikes counts, by peer, how often a peer did something that may follow again only
// after a wait. Whoever stays away from it for the longest wait begins anew.
type strikes map[string]strike

type strike struct {
	count int
	until time.Time
}

func (s strikes) until(peer string) time.Time { return s[peer].until }

func (s strikes) add(peer string, now time.Time, waits backoff.Backoff) {
	k, known := s[peer]
	if now.Sub(k.until) > waits.Max {
		k.count = 0
	}
	if !known && len(s) >= maxPeers {
		s.forgetFirst()
	}
	k.count++
	k.until = now.Add(waits.Ceiling(k.count))
	s[peer] = k
}

// forgetFirst forgets the peer that has to wait no longer, or the least.
func (s strikes) forgetFirst() {
	first, found := "", false
	for peer, k := range s {
		if !found || k.until.Before(s[first].until) {
			first, found = peer, true
		}
	}
	delete(s, first)
}
