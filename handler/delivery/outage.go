package delivery

import (
	"context"
	"log/slog"
	"time"

	"agentctl/agent/logs"
	"agentctl/handler/text"
)

const (
	// outageQuiet is for how long the log says no more of a target that fails than that
	// it does, at level INFO: a gateway that starts a little later than the agent, or
	// is restarted, is nothing to look at. From then on it is a warning.
	outageQuiet = 10 * time.Second
	// outageFirst is for how long a target has failed when the log says so at level
	// ERROR.
	outageFirst = 30 * time.Second
	// outageFactor is how much longer it has failed when the log says so again, and
	// outageMost the longest time between two such lines.
	outageFactor = 10
	outageMost   = time.Hour
)

// failedLong is the line of an outage that lasts.
const failedLong = "target has failed for a while: its gateway may be stale, its events wait"

// outage is a time in which an attempt at an event or at the flush has failed, and none
// of the same kind has gone well since. The Delivery's lock guards it.
type outage struct {
	since time.Time   // zero if there is none
	timer *time.Timer // calls tellOutage
	told  bool        // at level ERROR
	over  bool        // the Delivery has ended: nothing begins any more
}

// failureLevel is the level at which the log says that an attempt failed, and whether it
// says so at all. It is the nth of its kind that failed. The caller holds the lock.
func (d *Delivery) failureLevel(kind logs.Kind, n int, now time.Time) (level slog.Level, say bool) {
	if d.outageBegins(now) {
		return slog.LevelInfo, true
	}
	if now.Sub(d.outage.since) < outageQuiet {
		return slog.LevelInfo, false
	}
	return slog.LevelWarn, d.sampled.Nth(kind, uint64(n), sampledSilence)
}

// outageBegins notes that an attempt failed, and tells whether that is the first of its
// outage. The caller holds the lock.
func (d *Delivery) outageBegins(now time.Time) bool {
	o := &d.outage
	if !o.since.IsZero() || o.over {
		return false
	}
	o.since = now
	o.timer = time.AfterFunc(outageQuiet, d.tellOutage)
	return true
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

// tellOutage logs that the target has failed for a while: first as a warning, then as an
// error. It does not wait for an
// attempt, because the next one may be an hour off if the target asked for that.
func (d *Delivery) tellOutage() {
	now := time.Now()
	d.mu.Lock()
	o := &d.outage
	if o.since.IsZero() {
		d.mu.Unlock()
		return
	}
	failed, level, pass := now.Sub(o.since), slog.LevelError, true
	kind, attempts := logs.Kind(targetFails), d.state.failing.attempts
	if d.state.flush.attempts > 0 {
		kind, attempts = flushFails, d.state.flush.attempts
	}
	if o.told = failed >= outageFirst; o.told {
		o.timer.Reset(min((outageFactor-1)*failed, outageMost))
	} else {
		o.timer.Reset(outageFirst - failed)
		// An attempt at this very moment may have said it.
		level, pass = slog.LevelWarn, d.sampled.Nth(kind, uint64(attempts), sampledSilence)
	}
	lastError := d.state.lastError
	d.mu.Unlock()
	if !pass {
		return
	}
	d.log.Log(context.Background(), level, failedLong,
		"failing_for", text.Round(failed), "err", text.Excerpt(lastError, 2*text.ExcerptSize), "attempts", attempts, "waiting", d.cursor.Status().Waiting)
}
