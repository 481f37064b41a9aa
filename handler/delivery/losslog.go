package delivery

import (
	"context"
	"time"

	"agentctl/handler/backoff"
)

// tellLosses logs the losses since the last time. A flush calls it before it begins,
// because afterwards there may be no gap to tell of.
func (d *Delivery) tellLosses() {
	d.toldMu.Lock()
	defer d.toldMu.Unlock()
	s := d.cursor.Status()
	if s.Gap.Watermark == d.told.Gap.Watermark {
		return
	}
	d.log.Error("this target lacks events, or may: its gateway may be stale until it is flushed", "reason", s.Gap.Reason,
		"lost", s.Lost-d.told.Lost, "lost_total", s.Lost, "expired_total", s.Expired, "since", s.Gap.Since, "waiting", s.Waiting)
	d.told = s
}

// lacksUntold tells whether there were losses since the last time.
func (d *Delivery) lacksUntold() bool {
	d.toldMu.Lock()
	defer d.toldMu.Unlock()
	return d.cursor.Status().Gap.Watermark != d.told.Gap.Watermark
}

// watchLosses wakes flushGaps after losses, and logs them: at once the first time, then
// after pauses that grow from a second to a minute, and the rest at the end.
func (d *Delivery) watchLosses(ctx context.Context) {
	pauses := backoff.Backoff{Min: time.Second, Max: time.Minute}
	defer d.tellLosses()
	told := 0 // in a row
	var last time.Time
	var pause <-chan time.Time // nil if there is none
	for {
		select {
		case <-d.cursor.Losses():
			notify(d.lost)
			d.idle.change(nil) // lost events do not wait any more
			if pause != nil {
				continue
			}
		case <-pause:
			pause = nil
			if !d.lacksUntold() {
				continue
			}
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if now.Sub(last) > 10*pauses.Max {
			told = 0
		}
		told++
		d.tellLosses()
		last, pause = now, time.After(pauses.Ceiling(told))
	}
}
