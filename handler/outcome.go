package handler

import (
	"context"
	"fmt"
	"time"
)

// Buried returns the events that the target refused for good, as far as the
// journal keeps them, in the order of burial.
func (d *Delivery) Buried() []Buried { return d.cursor.Buried() }

// Unbury makes buried events, by sequence number, wait for another try.
func (d *Delivery) Unbury(seqs ...uint64) error {
	if err := d.cursor.Unbury(seqs...); err != nil {
		return fmt.Errorf("target %s: %w", d.cfg.Target.Name, err)
	}
	return nil
}

func (d *Delivery) delivered(rec *Record, took time.Duration) error {
	now := time.Now()
	d.mu.Lock()
	d.state.delivered++
	d.state.lastDelivered = now
	failure := d.state.answered(now)
	d.mu.Unlock()
	d.cfg.Metrics.observe(d, now.Sub(rec.Event.Time))
	err := d.ack(rec.Seq)
	d.logRecovery(failure, now)
	if d.cfg.OnDelivered != nil {
		d.cfg.OnDelivered(rec.Event, took)
	}
	return err
}

func (d *Delivery) buried(rec *Record, perr *PostError) error {
	now := time.Now()
	d.mu.Lock()
	d.state.buried++
	d.state.lastError, d.state.lastErrorTime = perr.Error(), now
	// It did answer: it is well again, as far as trying goes.
	failure := d.state.answered(now)
	d.mu.Unlock()
	d.log.Error("target refused an event for good: buried, not tried again", append(d.attrs(&rec.Event),
		"status", perr.Status, "answer", excerpt(string(perr.Body), excerptSize))...)
	err := d.cursor.Bury(rec.Seq, BuriedInfo{Time: now, Status: perr.Status, Reason: perr.Error(), Answer: perr.Body})
	d.wakeIdle()
	d.logRecovery(failure, now)
	return err
}

func (d *Delivery) failed(rec *Record, perr *PostError, attempt int, wait time.Duration, lines *every) {
	now := time.Now()
	d.mu.Lock()
	if attempt == 1 {
		d.state.failing = failure{since: now}
	}
	d.state.failing.attempts = attempt
	d.state.lastError, d.state.lastErrorTime = perr.Error(), now
	since := d.state.failing.since
	d.mu.Unlock()
	if !lines.pass(attempt, now) {
		return
	}
	msg := "target fails: events wait, and are tried again until it takes them"
	if attempt > 1 {
		msg = "target still fails: events wait, and are tried again until it takes them"
	}
	d.log.Warn(msg, append(d.attrs(&rec.Event),
		"err", excerpt(perr.Error(), 2*excerptSize), "attempts", attempt, "failing_for", round(now.Sub(since)),
		"next_in", round(wait), "waiting", d.cursor.Status().Waiting)...)
}

func (d *Delivery) logRecovery(f failure, now time.Time) {
	if f.attempts == 0 {
		return
	}
	d.log.Info("target is well again", "failed_for", round(now.Sub(f.since)),
		"attempts", f.attempts, "waiting", d.cursor.Status().Waiting)
}

// attrs names an event in a log line. The name is a stranger's.
func (d *Delivery) attrs(e *Event) []any {
	return []any{"event", e.ID, "type", string(e.Type), "name", excerpt(e.Name, excerptSize)}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// watchLosses logs what the cursor had to give up: at once the first time,
// then after pauses that grow from a second to a minute, and what is left at
// the end.
func (d *Delivery) watchLosses(ctx context.Context) {
	const shortest, longest = time.Second, time.Minute
	pause := shortest
	var reported uint64
	report := func() {
		s := d.cursor.Status()
		if s.Lost == reported {
			return
		}
		d.log.Error("events were lost to this target, as too many waited: its gateway may be stale until it is flushed",
			"lost", s.Lost-reported, "lost_total", s.Lost, "since", s.GapSince, "waiting", s.Waiting)
		reported = s.Lost
	}
	defer report()
	for {
		quiet := time.NewTimer(10 * longest)
		select {
		case <-d.cursor.Losses():
			quiet.Stop()
		case <-quiet.C:
			pause = shortest
			continue
		case <-ctx.Done():
			quiet.Stop()
			return
		}
		report()
		if sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, longest)
	}
}
