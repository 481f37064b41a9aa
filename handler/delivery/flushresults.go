package delivery

import (
	"context"
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// flushed notes a flush that the target took for a gap, as it was when the flush began.
func (d *Delivery) flushed(gap journal.Gap, at, now time.Time) error {
	d.mu.Lock()
	f := &d.state.flush
	f.flushed++
	f.attempts, f.last, f.began = 0, now, at
	d.sampled.Restart(flushFails)
	level := d.outageEnds()
	d.mu.Unlock()
	if err := d.cursor.Mend(gap.Watermark, at); err != nil {
		return err
	}
	left := d.cursor.Status()
	what := "target was flushed: what it lacked harms it no more"
	if d.cfg.Target.Flush.LastEvent {
		what = "target gets its last event once more, in place of what it lacked"
	}
	d.log.Log(context.Background(), level, what, "reason", gap.Reason,
		"since", gap.Since, "took", text.Round(now.Sub(at)), "again", left.Gap.Open(), "waiting", left.Waiting)
	return nil
}

// flushFailed notes an attempt at the flush that failed and will be repeated.
func (d *Delivery) flushFailed(gap journal.Gap, perr *target.PostError, wait time.Duration, now time.Time) {
	d.mu.Lock()
	f := &d.state.flush
	f.retried++
	f.attempts++
	attempts := f.attempts
	d.state.lastError, d.state.lastErrorTime = "flush: "+perr.Error(), now
	level, pass := d.failureLevel(flushFails, attempts, now)
	d.mu.Unlock()
	if pass {
		d.log.Log(context.Background(), level, "target fails its flush: events wait, and it is tried again until it is done", "reason", gap.Reason, "since", gap.Since,
			"err", text.Excerpt(perr.Error(), 2*text.ExcerptSize), "attempts", attempts, "next_in", text.Round(wait), "waiting", d.cursor.Status().Waiting)
	}
}

// flushRefused notes a flush that the target refused for good.
func (d *Delivery) flushRefused(gap journal.Gap, perr *target.PostError, now time.Time) {
	d.mu.Lock()
	f := &d.state.flush
	f.refused++
	f.refusedWatermark, f.refusedAt = gap.Watermark, now
	f.attempts = 0
	d.sampled.Restart(flushFails)
	d.outageEnds() // an answer ends it, even a refusal, which is logged as an error below
	d.state.lastError, d.state.lastErrorTime = "flush: "+perr.Error(), now
	d.mu.Unlock()
	d.log.Error("target refused its flush: events go on, and its gateway may be stale; see its \"flush\" in the configuration",
		"reason", gap.Reason, "since", gap.Since, "status", perr.Status, "answer", text.Excerpt(string(perr.Body), text.ExcerptSize))
}
