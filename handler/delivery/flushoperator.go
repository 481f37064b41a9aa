package delivery

import (
	"time"

	"agentctl/handler/target"
)

// Flush asks for a flush, for a reason that log and status show. It returns at once.
// The target's state is flushing until the flush is done, also in the next process if
// the journal has a file. The error is target.ErrNoFlush if the target has no flush
// request, or journal.ErrClosed.
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

// AcceptGap closes the gap without a flush, for an operator who says that the gateway
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
	d.outageEnds() // no flush is due any more
	d.mu.Unlock()
	d.log.Warn("an operator accepted what this target lacks: it counts as fresh, without a flush", "reason", gap.Reason, "since", gap.Since)
	notify(d.hurry)
	d.reopen(nil)
	return nil
}

// FlushedUpTo is when the last flush began that the target has done: no loss after it is
// made good by that flush. It is zero if the target has done none.
func (d *Delivery) FlushedUpTo() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.flush.began
}
