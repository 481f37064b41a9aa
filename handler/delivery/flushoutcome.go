package delivery

import (
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

func (d *Delivery) flushed(gap journal.Gap, at, now time.Time) error {
	d.mu.Lock()
	f := &d.state.flush
	f.flushed++
	f.attempts, f.last = 0, now
	d.sampled.Restart(flushFails)
	d.mu.Unlock()
	if err := d.cursor.Mend(gap.Watermark, at); err != nil {
		return err
	}
	left := d.cursor.Status()
	what := "target was flushed: what it lacked harms it no more"
	if d.cfg.Target.Flush.LastEvent {
		what = "target gets its last event once more, in place of what it lacked"
	}
	d.log.Info(what, "reason", gap.Reason,
		"since", gap.Since, "took", text.Round(now.Sub(at)), "again", left.Gap.Open(), "waiting", left.Waiting)
	return nil
}

// flushFailed returns after what time to try again.
func (d *Delivery) flushFailed(gap journal.Gap, perr *target.PostError, now time.Time) (wait time.Duration) {
	d.mu.Lock()
	f := &d.state.flush
	f.retried++
	f.attempts++
	attempts := f.attempts
	d.state.lastError, d.state.lastErrorTime = "flush: "+perr.Error(), now
	pass := d.sampled.Nth(flushFails, uint64(attempts), sampledSilence)
	d.mu.Unlock()
	wait = max(d.backoff.Wait(attempts), perr.RetryAfter)
	if pass {
		d.log.Warn("target fails its flush: events wait, and it is tried again until it is done", "reason", gap.Reason, "since", gap.Since,
			"err", text.Excerpt(perr.Error(), 2*text.ExcerptSize), "attempts", attempts, "next_in", text.Round(wait), "waiting", d.cursor.Status().Waiting)
	}
	return wait
}

func (d *Delivery) flushRefused(gap journal.Gap, perr *target.PostError, now time.Time) {
	d.mu.Lock()
	f := &d.state.flush
	f.refused++
	f.refusedWatermark, f.refusedAt = gap.Watermark, now
	f.attempts = 0
	d.sampled.Restart(flushFails)
	d.state.lastError, d.state.lastErrorTime = "flush: "+perr.Error(), now
	d.mu.Unlock()
	d.log.Error("target refused its flush: events go on, and its gateway may be stale until its \"flush\" in the configuration is put right, or an operator flushes it and accepts the gap",
		"reason", gap.Reason, "since", gap.Since, "status", perr.Status, "answer", text.Excerpt(string(perr.Body), text.ExcerptSize))
}

// Flush asks for a flush, for a reason that log and status tell. It returns at
// once: the target's state is flushing until it is done, also in the next
// process where the journal is on disk. It fails where the target has no flush
// request, or the journal is closed.
func (d *Delivery) Flush(reason string) error {
	err := target.ErrNoFlush
	if d.cfg.Target.Flush != nil {
		d.mu.Lock()
		d.state.flush.refusedAt = time.Time{}
		d.mu.Unlock()
		d.gate.change(func() { // no flush begins in between
			err = d.cursor.Gap(0, reason)
			notify(d.hurry)
		})
	}
	return d.named(err)
}

// AcceptGap closes the gap without a flush: an operator says that the gateway
// is fresh. Without a gap it does nothing. A flush under way goes to its end.
func (d *Delivery) AcceptGap() error {
	gap := d.cursor.Status().Gap
	if !gap.Open() {
		return nil
	}
	if err := d.cursor.Mend(gap.Watermark, time.Now()); err != nil {
		return d.named(err)
	}
	d.mu.Lock()
	d.state.flush.attempts = 0
	d.sampled.Restart(flushFails)
	d.mu.Unlock()
	d.log.Warn("an operator accepted what this target lacks: it counts as fresh, without a flush", "reason", gap.Reason, "since", gap.Since)
	notify(d.hurry)
	d.reopen(nil)
	return nil
}
