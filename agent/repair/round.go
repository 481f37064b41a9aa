package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// sessionTime bounds a comparison. What was fetched by then stays, and the
	// next round goes on from there.
	sessionTime = 2 * time.Minute
	// maxWitnesses is how many peers are asked about a log that another peer
	// has let go of.
	maxWitnesses = 16
)

// round compares with the next few peers, and tells how long the next round may
// wait at most.
func (r *Repair) round(ctx context.Context) (wait time.Duration) {
	var doubts []*doubtError
	hurry, grown, silent := false, false, false
	for _, peer := range r.draw() {
		moved := r.moved()
		grown = grown || moved
		more, err := r.attempt(ctx, peer, moved)
		hurry = hurry || more
		if d, ok := errors.AsType[*doubtError](err); ok {
			doubts = append(doubts, d)
		} else if err != nil {
			silent = true
			r.retry = peer
		}
	}
	if len(doubts) > 0 {
		r.resolve(ctx, doubts)
	}
	r.save(ctx)
	return r.pace(hurry, grown, silent)
}

// moved tells whether the log has grown since the last time it was asked:
// where nothing happens, the watermarks of others are not worth their bytes.
func (r *Repair) moved() bool {
	ext, err := r.cfg.Store.Extent()
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := err == nil && ext.Head != r.lastHead
	r.lastHead = ext.Head
	return moved
}

// attempt is one comparison, bounded in time, whose failure is logged.
func (r *Repair) attempt(ctx context.Context, peer string, watermarks bool) (hurry bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	hurry, err = r.compareWith(ctx, peer, watermarks)
	if err != nil {
		r.cfg.Logger.Debug("repair: a peer's journal was not compared", "peer", peer, "error", err)
	}
	return hurry, err
}

// resolve looks for peers that have compared what others have let go of, and
// where there are none has the gateways flushed.
func (r *Repair) resolve(ctx context.Context, doubts []*doubtError) {
	witnesses := 0
	for _, peer := range r.shuffled(r.cfg.Peers()) {
		if witnesses == maxWitnesses || !slices.ContainsFunc(doubts, r.doubted) {
			break
		}
		if slices.ContainsFunc(doubts, func(d *doubtError) bool { return d.peer == peer }) {
			continue
		}
		witnesses++
		r.attempt(ctx, peer, true)
	}
	for _, d := range doubts {
		_, err := r.attempt(ctx, d.peer, true)
		if d, ok := errors.AsType[*doubtError](err); ok && ctx.Err() == nil {
			r.gap(d, witnesses)
			return
		}
	}
}

// doubted tells whether a doubt is still one.
func (r *Repair) doubted(d *doubtError) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.state.watermarks[d.log.incarnation]
	return n == nil || n.seq < d.trimmed
}

// heard is up to where a log went when its node last answered.
type heard struct {
	seq uint64
	at  time.Time
}

// hear notes how far a log went. r.mu is held.
func (r *Repair) hear(head watermark, now time.Time) {
	if len(r.heads) >= maxWatermarks {
		clear(r.heads)
	}
	r.heads[head.incarnation] = heard{head.seq, now}
}

// gap has the gateways flushed. With that the node is as good as new: it wants
// what was published from now on. So nothing is lacking of what the peers that
// were just asked had then, and what they let go of of that is no doubt any more.
// Of other logs it is looked up, by time, where they stood; and as that goes by
// other clocks, by bornMargin earlier.
func (r *Repair) gap(d *doubtError, witnesses int) {
	now, clock := time.Now(), r.cfg.Clock()
	reason := fmt.Sprintf("events may be lacking that no peer has any more: %v; %d other peers were asked", d, witnesses)
	if err := r.cfg.Gap(reason); err != nil {
		r.cfg.Logger.Error("repair: the gateways could not be marked for a flush", "reason", reason, "error", err)
		return
	}
	r.cfg.Logger.Warn("repair: gateways are flushed", "reason", reason)
	r.metrics.gaps.Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.bear(now, clock)
	for id, h := range r.heads {
		if now.Sub(h.at) < bornMargin {
			r.state.advance(watermark{id, h.seq}, now)
		}
	}
}
