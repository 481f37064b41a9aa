package repair

import (
	"context"
	"sync"
	"time"
)

const (
	// maxHeard is how many other peers are asked before a flush where their logs
	// end, and heardTime how long that may take, so that one flush is enough for all.
	maxHeard  = 16
	heardTime = bornMargin / 2
)

// round compares with the next few peers, and tells how long the next round may
// wait at most.
func (r *Repair) round(ctx context.Context) (wait time.Duration) {
	var t tally
	if err := r.record.note(r.cfg.Store); err != nil {
		return r.cfg.maxInterval // the journal is closed
	}
	t.grown = r.moved()
	r.resting = r.resting && !t.grown
	for _, peer := range r.draw() {
		t.grown = r.moved() || t.grown
		if ctx.Err() != nil {
			break
		}
		r.start(ctx, peer)
		r.await(ctx, peer, &t)
	}
	for len(r.ended) > 0 { // comparisons of earlier rounds
		r.add(<-r.ended, &t)
	}
	if len(t.doubts) > 0 || r.gapDue() {
		r.flush(ctx, t.doubts)
	}
	r.save(ctx)
	r.saveRecord(ctx)
	return r.pace(t)
}

// moved tells whether the log has grown since the last time it was asked.
func (r *Repair) moved() bool {
	ext, err := r.cfg.Store.Extent()
	if err == nil {
		err = r.record.note(r.cfg.Store)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := err == nil && ext.Head != r.lastHead
	r.lastHead = ext.Head
	return moved
}

// flush has the gateways flushed, since only the peers themselves know what they have
// let go of. First it hears from other peers how far their logs go: what they let go of
// up to there is no reason for another flush.
func (r *Repair) flush(ctx context.Context, doubts []*doubtError) {
	hearing, cancel := context.WithTimeout(ctx, heardTime)
	defer cancel()
	var asking sync.WaitGroup
	asked := 0
	for _, peer := range r.shuffled(r.cfg.Peers()) {
		if asked == maxHeard {
			break
		}
		if r.heardLately(peer) {
			continue
		}
		asked++
		asking.Add(1)
		r.cfg.spawn(func() {
			defer asking.Done()
			s := &session{Repair: r, peer: peer}
			// An answer is noted. Without one, the peer looks its log up by time.
			if _, _, _, err := s.open(hearing); untrue(err) {
				s.logUntrue(err)
				r.metrics.compared.WithLabelValues(resultRefused).Inc()
			}
		})
	}
	asking.Wait()
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
