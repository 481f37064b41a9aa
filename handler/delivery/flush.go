package delivery

import (
	"context"
	"errors"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// refusedHold is for how long a target that refused its flush is not asked
// again for what is lost meanwhile: each time would hold up the events.
const refusedHold = time.Minute

// flushState is what a Delivery knows of its flushes. It is guarded by the
// Delivery's lock.
type flushState struct {
	refusedWatermark uint64    // of the gap whose flush was refused last
	refusedAt        time.Time // when; zero after an operator asked for another
	attempts         int       // that failed since one went well, was refused or not needed any more
	last             time.Time // when one went well

	flushed, retried, refused uint64
}

// flushPace keeps flushes of one target from following each other at once, as
// they would while more comes than the target takes. Only flushGaps has it.
type flushPace struct {
	next   time.Time // none before
	last   time.Time // when the last went well
	streak int       // of those that followed each other soon
}

// after notes a flush that went well.
func (p *flushPace) after(b backoff.Backoff, now time.Time) {
	if now.Sub(p.last) > 10*b.Ceiling(p.streak) {
		p.streak = 0
	}
	p.streak++
	p.last, p.next = now, now.Add(b.Ceiling(p.streak))
}

// wantsFlush tells whether a gap is one to be flushed now.
func (d *Delivery) wantsFlush(gap journal.Gap) bool {
	if d.cfg.Target.Flush == nil || !gap.Open() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &d.state.flush
	return gap.Watermark != f.refusedWatermark && time.Since(f.refusedAt) >= refusedHold
}

func (d *Delivery) flushDue() bool { return d.wantsFlush(d.cursor.Status().Gap) }

// flushGaps flushes the target whenever a gap wants it. Its contexts are those
// of deliver.
func (d *Delivery) flushGaps(ctx, going context.Context) error {
	var pace flushPace
	var held <-chan time.Time
	for {
		select {
		case <-d.lost:
		case <-held:
		case <-going.Done():
			return nil
		}
		err := d.flushGap(ctx, going, &pace)
		if ctx.Err() != nil || going.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		held = d.held()
	}
}

// held is for a gap that has grown since its flush was refused, and is not to
// be flushed yet.
func (d *Delivery) held() <-chan time.Time {
	gap := d.cursor.Status().Gap
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &d.state.flush
	if !gap.Open() || gap.Watermark == f.refusedWatermark {
		return nil
	}
	return time.After(time.Until(f.refusedAt.Add(refusedHold)))
}

// flushGap makes flushes until none is due.
func (d *Delivery) flushGap(ctx, going context.Context, pace *flushPace) error {
	for d.flushDue() {
		select {
		case <-time.After(time.Until(pace.next)):
		case <-d.hurry:
		case <-going.Done():
		}
		if err := going.Err(); err != nil {
			return err
		}
		if !d.flushDue() { // any more
			return nil
		}
		if err := d.flushOnce(ctx, going, pace); err != nil {
			return err
		}
	}
	return nil
}

// flushOnce makes one attempt, with no event's beside it, and sets when the
// next may be made.
func (d *Delivery) flushOnce(ctx, going context.Context, pace *flushPace) error {
	// The flush covers what was lost before it began, and no more: what is lost
	// from then on, the gateway may have answered without.
	var gap journal.Gap
	var at time.Time
	err := d.gate.when(going, func() bool {
		if d.gate.posting > 0 {
			return false
		}
		d.gate.flushing = true
		gap, at = d.cursor.Status().Gap, time.Now()
		select {
		case <-d.hurry: // of one who asked for this
		default:
		}
		return true
	})
	if err != nil {
		return err
	}
	defer d.reopen(func() { d.gate.flushing = false })
	d.tellLosses()
	err = d.attemptFlush(ctx)
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	now := time.Now()
	if err == nil {
		pace.after(d.backoff, now)
		return d.flushed(gap, at, now)
	}
	if perr := target.AsPostError(err); perr.Class == target.Bury {
		d.flushRefused(gap, perr, now)
	} else {
		pace.next = now.Add(d.flushFailed(gap, perr, now))
	}
	return nil
}

// attemptFlush makes one attempt at the flush.
func (d *Delivery) attemptFlush(ctx context.Context) error {
	if d.cfg.Target.Flush.LastEvent {
		err := d.cursor.RequeueLast()
		if errors.Is(err, journal.ErrNoLast) {
			err = &target.PostError{Class: target.Bury, Err: err}
		}
		return err
	}
	var lines []byte
	if d.cfg.Self != nil {
		lines = d.cfg.Self()
	}
	self := handler.NewMember(handler.MemberJoin, "", lines, time.Time{})
	_, err := d.poster.Flush(ctx, &self)
	return err
}
