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

// refusedHold is how long a target that refused its flush is not flushed again for
// later losses: each flush would hold up the events.
const refusedHold = time.Minute

// flushQuiet is how long a target needs no flush, at least, until the next one counts as
// the first again. A loss each second is so no flush each second.
const flushQuiet = time.Minute

// flushState is a Delivery's memory of its flushes. The Delivery's lock guards it.
type flushState struct {
	refusedWatermark uint64    // of the gap whose flush was refused last
	refusedAt        time.Time // when; zero after an operator asked for another
	attempts         int       // failures since a flush went well, was refused or was not needed any more
	last             time.Time // when a flush went well
	began            time.Time // when that flush began

	flushed, retried, refused uint64
}

// flushPace keeps flushes of one target from following each other at once, as they
// would while more events come than the target takes. Only flushGaps uses it.
type flushPace struct {
	next   pause     // before the next flush
	last   time.Time // when the last one went well
	streak int       // flushes that followed each other soon
	failed pacing    // of the gap that is open
}

// after notes a flush that went well, and sets the time of the next.
func (p *flushPace) after(b backoff.Backoff, now time.Time) {
	if now.Sub(p.last) > max(10*b.Ceiling(p.streak), flushQuiet) {
		p.streak = 0
	}
	p.streak++
	p.last = now
	p.next.until, p.next.why, p.next.last = now.Add(b.Ceiling(p.streak)), WhyFlushed, nil
}

// wantsFlush tells whether a flush is due for a gap.
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

// flushGaps flushes the target whenever a flush is due. Its contexts are those of
// deliver.
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

// held returns a timer for a gap that has grown since its flush was refused, and whose
// next flush is not due yet.
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

// flushGap flushes until no flush is due.
func (d *Delivery) flushGap(ctx, going context.Context, pace *flushPace) error {
	pace.failed = pacing{}
	for d.flushDue() {
		// Whoever makes losses again and again is not to hold up events with that.
		d.gate.change(func() { d.gate.rested = pace.next.why == WhyFlushed })
		err := d.pause(going, &pace.next, d.hurry)
		d.gate.change(func() { d.gate.rested = false })
		if err != nil {
			return err
		}
		if !d.flushDue() { // an operator may have accepted the gap
			return nil
		}
		if err := d.flushOnce(ctx, going, pace); err != nil {
			return err
		}
	}
	return nil
}

// flushOnce makes one attempt at the flush, with no attempt at an event beside it. It
// sets the time of the next.
func (d *Delivery) flushOnce(ctx, going context.Context, pace *flushPace) error {
	// The flush covers the losses before it began, and no others: after that the
	// gateway may have answered without a later event.
	var gap journal.Gap
	var at time.Time
	err := d.gate.when(going, func() bool {
		if d.gate.posting > 0 {
			return false
		}
		d.gate.flushing = true
		at = time.Now() // first: a loss between the two is later, and still of this gap
		gap = d.cursor.Status().Gap
		select {
		case <-d.hurry: // this flush answers the operator who hurried
		default:
		}
		return true
	})
	if err != nil {
		return err
	}
	defer d.reopen(func() { d.gate.flushing = false })
	d.tellLosses()
	pace.next.hasten, pace.next.urged = d.hasten(), d.urgeable()
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
		wait, why := pace.failed.failed(d.backoff, perr)
		d.flushFailed(gap, perr, wait, now)
		pace.next.until, pace.next.why, pace.next.last = now.Add(wait), why, perr
		d.drainFailed(pace.next.hasten, perr, wait, true)
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
