package delivery

import (
	"context"
	"log/slog"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// The kinds of sampled log lines. A condition that goes on is logged again after
// sampledSilence at most.
const (
	targetFails = "target fails"
	flushFails  = "flush fails"
	eventBuried = "event buried"
	takesAgain  = "takes again"

	sampledSilence = time.Minute
)

// The lines of a target that takes events again, after it failed or refused them. It is well
// only where nothing else is wrong with it.
const (
	wellAgain    = "target is well again"
	takesNotWell = "target takes events again, and is not well yet"
)

// delivered notes that the target took an event.
func (d *Delivery) delivered(rec *journal.Record, status, attempt int, took time.Duration) error {
	now := time.Now()
	d.mu.Lock()
	d.state.delivered++
	d.state.lastDelivered = now
	d.state.latency.add(now.Sub(rec.Event.Time))
	d.state.attempts.add(took)
	failure, level := d.answered(attempt, now)
	refusing := d.state.took(now)
	takes := !refusing.IsZero() && d.sampled.Nth(takesAgain, d.state.refusing.ended, sampledSilence)
	d.mu.Unlock()
	d.cfg.Metrics.observe(d, now.Sub(rec.Event.Time))
	err := d.ack(rec.Seq, status)
	d.logTaken(&rec.Event, status, attempt, took)
	switch {
	case takes: // at the level of the refusals, and in place of the line of the failure
		d.tellTaken(slog.LevelError, "refused_for", text.Round(now.Sub(refusing)), "attempts", attempt)
	case failure.attempts > 0:
		d.tellTaken(level, "failed_for", text.Round(now.Sub(failure.since)), "attempts", failure.attempts)
	}
	if d.cfg.OnDelivered != nil {
		d.cfg.OnDelivered(rec.Event, took)
	}
	return err
}

// tellTaken logs that the target takes events again.
func (d *Delivery) tellTaken(level slog.Level, args ...any) {
	msg, s := wellAgain, d.Status()
	if s.State != StateOK {
		msg, args = takesNotWell, append(args, "state", string(s.State))
	}
	d.log.Log(context.Background(), level, msg, append(args, "waiting", s.Waiting)...)
}

// logTaken logs each delivery, so it must cost nothing while nobody wants such lines.
func (d *Delivery) logTaken(e *handler.Event, status, attempt int, took time.Duration) {
	if d.log.Enabled(context.Background(), slog.LevelDebug) {
		d.log.Debug("target took an event", append(d.attrs(e), "attempt", attempt, "status", status, "took", took,
			"size", len(e.Payload), "payload", text.LogPayload(e.Payload))...)
	}
}

// outdated notes that an event was not posted, because it is not true any more.
func (d *Delivery) outdated(rec *journal.Record) error {
	d.mu.Lock()
	d.state.outdated++
	d.mu.Unlock()
	err := d.cursor.Outdate(rec.Seq)
	d.idle.change(nil)
	return err
}

// buried notes that the target refused an event for good.
func (d *Delivery) buried(rec *journal.Record, attempt int, perr *target.PostError) error {
	now := time.Now()
	err := d.cursor.Bury(rec.Seq, journal.Burial{Time: now, Status: perr.Status, Reason: perr.Error(), Answer: perr.Body})
	d.mu.Lock()
	d.state.buried++
	d.state.lastError, d.state.lastErrorTime = perr.Error(), now
	// An answer ends a time of failure, even a refusal. But it does not make the target
	// well.
	failure, _ := d.answered(attempt, now)
	if r := &d.state.refusing; !r.counts() {
		r.since, r.dismissed = now, false
		if failure.attempts > 0 {
			r.since = failure.since
		}
	}
	all := d.state.buried
	pass := d.sampled.Nth(eventBuried, all, sampledSilence)
	d.mu.Unlock()
	if pass {
		msg := "target refused an event for good: buried, not tried again"
		why := []any{"attempt", attempt, "status", perr.Status, "answer", text.Excerpt(string(perr.Body), text.ExcerptSize)}
		if perr.Location != "" {
			why = append(why, "location", text.Excerpt(perr.Location, text.ExcerptSize))
		}
		if perr.Err != nil { // it was never sent
			msg, why = "event cannot be sent to this target: buried", []any{"err", text.Excerpt(perr.Error(), 2*text.ExcerptSize)}
		}
		d.log.Error(msg, append(append(d.attrs(&rec.Event), why...), "buried_so_far", all)...)
	}
	d.idle.change(nil)
	return err
}

// answered notes that the target answered an event at this attempt. It returns the time
// of failure that this ends, if any, and the level at which the log is to say so. The
// caller holds the lock.
func (d *Delivery) answered(attempt int, now time.Time) (failure, slog.Level) {
	f := d.state.answered(attempt, now)
	if f.attempts > 0 {
		d.sampled.Restart(targetFails)
	}
	return f, d.outageEnds()
}

// failed notes that an attempt failed and will be repeated.
func (d *Delivery) failed(rec *journal.Record, perr *target.PostError, attempt int, wait time.Duration) {
	now := time.Now()
	d.mu.Lock()
	f := &d.state.failing
	first := f.attempts == 0
	if first {
		f.since = now
	}
	if attempt == 1 {
		f.events++
	}
	f.attempts = max(f.attempts, attempt)
	d.state.lastError, d.state.lastErrorTime = perr.Error(), now
	level, pass := d.failureLevel(targetFails, f.attempts, now)
	told := *f
	d.mu.Unlock()
	if !pass {
		return
	}
	msg := "target fails: its events wait, and are tried again"
	if !first {
		msg = "target still fails: its events wait, and are tried again"
	}
	d.log.Log(context.Background(), level, msg, append(d.attrs(&rec.Event),
		"err", text.Excerpt(perr.Error(), 2*text.ExcerptSize), "attempts", told.attempts, "failing_for", text.Round(now.Sub(told.since)),
		"failing", told.events, "next_in", text.Round(wait), "waiting", d.cursor.Status().Waiting)...)
}

// attrs names an event in a log line. The name is a stranger's.
func (d *Delivery) attrs(e *handler.Event) []any {
	return []any{"event", e.ID, "type", string(e.Type), "name", text.Excerpt(e.Name, text.ExcerptSize)}
}
