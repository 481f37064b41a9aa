package repair

import (
	"context"
	"errors"
	"time"
)

const (
	// sessionTime bounds a comparison. What was fetched by then stays, and the
	// next round goes on from there.
	sessionTime = 2 * time.Minute
	// maxHeard is how many other peers are asked before a flush where their logs
	// end, and heardTime how long that may take, so that one flush is enough for all.
	maxHeard  = 16
	heardTime = bornMargin / 2
)

// round compares with the next few peers, and tells how long the next round may
// wait at most.
func (r *Repair) round(ctx context.Context) (wait time.Duration) {
	var doubts []*doubtError
	hurry, grown, silent := false, false, false
	for _, peer := range r.draw() {
		grown = r.moved() || grown
		more, err := r.attempt(ctx, peer)
		hurry = hurry || more
		if d, ok := errors.AsType[*doubtError](err); ok {
			doubts = append(doubts, d)
		} else if err != nil {
			silent = true
			r.retry = peer
		}
	}
	if len(doubts) > 0 || r.gapDue() {
		r.flush(ctx, doubts)
	}
	r.save(ctx)
	return r.pace(hurry, grown, silent)
}

// moved tells whether the log has grown since the last time it was asked.
func (r *Repair) moved() bool {
	ext, err := r.cfg.Store.Extent()
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := err == nil && ext.Head != r.lastHead
	r.lastHead = ext.Head
	return moved
}

// attempt is one comparison, bounded in time, whose failure is logged.
func (r *Repair) attempt(ctx context.Context, peer string) (hurry bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	hurry, err = r.compareWith(ctx, peer)
	if err != nil {
		r.cfg.Logger.Debug("repair: a peer's journal was not compared", "peer", peer, "error", err)
	}
	return hurry, err
}

// flush has the gateways flushed, since only the peers themselves know what they have
// let go of. First it hears from other peers how far their logs go: what they let go of
// up to there is no reason for another flush.
func (r *Repair) flush(ctx context.Context, doubts []*doubtError) {
	hearing, cancel := context.WithTimeout(ctx, heardTime)
	defer cancel()
	asked := 0
	for _, peer := range r.shuffled(r.cfg.Peers()) {
		if asked == maxHeard || hearing.Err() != nil {
			break
		}
		if !r.heardLately(peer) {
			asked++
			r.attempt(hearing, peer)
		}
	}
	if ctx.Err() == nil {
		r.gap(doubts)
	}
}

// heard is up to where a peer's log went when the peer last answered.
type heard struct {
	watermark
	at time.Time
}

// hear notes how far a log went. r.mu is held.
func (r *Repair) hear(peer string, head watermark, now time.Time) {
	if len(r.heads) >= maxPeers {
		clear(r.heads)
	}
	r.heads[peer] = heard{head, now}
}

func (r *Repair) heardLately(peer string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.heads[peer].at) < bornMargin
}
