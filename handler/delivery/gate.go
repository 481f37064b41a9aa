package delivery

import "context"

// gate keeps a target's attempts and its flushes apart. A flush waits for attempts, and
// not for events. An event that fails for ever is between two attempts most of the
// time, and must not keep the flush from a gateway that would take it.
type gate struct {
	monitor
	posting  int  // attempts under way
	flushing bool // a flush is under way
	rested   bool // a flush went well just now, so the next one waits, and events do not
}

// enter begins an attempt, as soon as no flush is under way, or due and not waiting for
// its time after the last one. leave ends it.
func (d *Delivery) enter(ctx context.Context) error {
	if d.cfg.Target.Flush == nil {
		return nil
	}
	return d.gate.when(ctx, func() bool {
		if d.gate.flushing || !d.gate.rested && d.flushDue() {
			return false
		}
		d.gate.posting++
		return true
	})
}

func (d *Delivery) leave() {
	if d.cfg.Target.Flush != nil {
		d.gate.change(func() { d.gate.posting-- })
	}
}

// reopen wakes the workers that wait for the end of a flush.
func (d *Delivery) reopen(f func()) {
	d.gate.change(f)
	d.idle.change(nil)
}
