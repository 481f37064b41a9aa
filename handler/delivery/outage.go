package delivery

import (
	"log/slog"
	"time"

	"agentctl/handler/text"
)

const (
	// outageFirst is for how long a target has failed when the log says so at level
	// ERROR. Shorter failures, such as the restart of a gateway, are warnings.
	outageFirst = 30 * time.Second
	// outageFactor is how much longer it has failed when the log says so again, and
	// outageMost the longest time between two such lines.
	outageFactor = 10
	outageMost   = time.Hour
)

// failedLong is the line of an outage that lasts.
const failedLong = "target has failed for a while: its gateway may be stale, events wait, and are tried again until it takes them"

// outage is a time in which an attempt at an event or at the flush has failed, and none
// of the same kind has gone well since. The Delivery's lock guards it.
type outage struct {
	since time.Time   // zero if there is none
	timer *time.Timer // calls tellOutage
	told  bool        // at level ERROR
	over  bool        // the Delivery has ended: nothing begins any more
}

// outageBegins notes that an attempt failed. The caller holds the lock.
func (d *Delivery) outageBegins(now time.Time) {
	o := &d.outage
	if !o.since.IsZero() || o.over {
		return
	}
	o.since = now
	o.timer = time.AfterFunc(outageFirst, d.tellOutage)
}

// outageEnds notes that an attempt went well, if it was the last that had to, and
// returns the level at which the log is to say so. The caller holds the lock.
func (d *Delivery) outageEnds() slog.Level {
	o := &d.outage
	if o.since.IsZero() || d.state.failing.attempts > 0 || d.state.flush.attempts > 0 {
		return slog.LevelInfo
	}
	o.timer.Stop()
	level := slog.LevelInfo
	if o.told {
		level = slog.LevelError // who reads no other lines is to know that it is over
	}
	*o = outage{}
	return level
}

// endOutage is called when the Delivery ends. What fails then is for the next one.
func (d *Delivery) endOutage() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage.timer != nil {
		d.outage.timer.Stop()
	}
	d.outage = outage{over: true}
}

// tellOutage logs that the target has failed for a while. It does not wait for an
// attempt, because the next one may be an hour off if the target asked for that.
func (d *Delivery) tellOutage() {
	now := time.Now()
	d.mu.Lock()
	o := &d.outage
	if o.since.IsZero() {
		d.mu.Unlock()
		return
	}
	failed := now.Sub(o.since)
	o.told = true
	o.timer.Reset(min((outageFactor-1)*failed, outageMost))
	lastError, attempts := d.state.lastError, max(d.state.failing.attempts, d.state.flush.attempts)
	d.mu.Unlock()
	d.log.Error(failedLong,
		"failing_for", text.Round(failed), "err", text.Excerpt(lastError, 2*text.ExcerptSize), "attempts", attempts, "waiting", d.cursor.Status().Waiting)
}
