package delivery

import (
	"context"
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// deliver attempts one event until it is settled: delivered, buried or outdated. When
// going ends, no further attempt begins; when ctx ends, the attempt under way is
// cancelled. In either case the event is not settled, and there is an error.
func (d *Delivery) deliver(ctx, going context.Context, rec *journal.Record) error {
	d.inFlight.Add(1)
	defer d.inFlight.Add(-1)
	if d.cfg.Revise != nil && rec.Event.Type.IsMember() && !d.takeAsIs(rec.Seq) {
		e, still := d.cfg.Revise(going, rec.Event)
		if err := going.Err(); err != nil {
			return err
		}
		if !still {
			return d.outdated(rec)
		}
		rec.Event.Payload = e.Payload
	}
	var failures pacing
	for attempt := 1; ; attempt++ {
		if err := d.enter(going); err != nil {
			return err
		}
		hasten, urged := d.hasten(), d.urgeable()
		start := time.Now()
		res, err := d.poster.Post(ctx, &rec.Event)
		took := time.Since(start)
		d.leave()
		if err == nil {
			d.cfg.Metrics.attempted(d, resultSuccess, took)
			return d.delivered(rec, res.Status, attempt, took)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		perr := target.AsPostError(err)
		if d.cfg.OnFailed != nil {
			d.cfg.OnFailed(rec.Event, perr)
		}
		if perr.Class == target.Bury {
			d.cfg.Metrics.attempted(d, resultBuried, took)
			return d.buried(rec, attempt, perr)
		}
		d.cfg.Metrics.attempted(d, resultRetried, took)
		wait, why := failures.failed(d.backoff, perr)
		d.failed(rec, perr, attempt, wait)
		d.drainFailed(hasten, perr, wait, false)
		p := pause{until: time.Now().Add(wait), why: why, last: perr, hasten: hasten, urged: urged}
		if err := d.pause(going, &p, nil); err != nil {
			return err
		}
		d.mu.Lock()
		d.state.retried++
		d.mu.Unlock()
	}
}
