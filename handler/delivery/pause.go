package delivery

import (
	"context"
	"time"

	"agentctl/handler/backoff"
	"agentctl/handler/probe"
	"agentctl/handler/target"
)

// Why is the reason for which the next attempt is not made yet.
type Why string

// The reasons of a wait.
const (
	WhyRefused    Why = "refused"     // nobody listens, or the name does not resolve; the attempt begins once somebody does
	WhyRetryAfter Why = "retry-after" // the target's answer asked for the wait
	WhyBackoff    Why = "backoff"     // waits grow with each attempt that fails
	WhyFlushed    Why = "flushed"     // flushes do not follow each other at once
)

// pacing counts the failures of one event, or of one flush, for its waits. Refused
// connections are counted apart. They say nothing about how the target takes requests,
// so after an outage of any length the first failure of another kind has a short wait.
type pacing struct{ refused, others int }

// failed notes an attempt that failed, and draws the wait before the next.
func (p *pacing) failed(b backoff.Backoff, perr *target.PostError) (time.Duration, Why) {
	n := &p.others
	why := WhyBackoff
	if perr.Refused() {
		n, why = &p.refused, WhyRefused
	}
	*n++
	wait := b.Wait(*n)
	if perr.RetryAfter > wait {
		return perr.RetryAfter, WhyRetryAfter
	}
	return wait, why
}

// pause is a wait before an attempt.
type pause struct {
	until time.Time
	why   Why
	last  *target.PostError // the attempt before; nil: it went well

	hasten <-chan struct{} // see Delivery.hasten
	urged  <-chan struct{} // see Delivery.urgeable
}

// pause waits until the time has come, somebody wants no wait, or the target is back
// after it refused connections.
func (d *Delivery) pause(ctx context.Context, p *pause, hurry <-chan struct{}) error {
	if time.Until(p.until) <= 0 {
		return ctx.Err()
	}
	d.mu.Lock()
	d.pauses[p] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.pauses, p)
		d.mu.Unlock()
	}()
	back, stop := watch(d.cfg.Prober, p.last)
	defer stop()
	t := time.NewTimer(time.Until(p.until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-back:
	case <-hurry:
	case <-p.hasten:
	case <-p.urged:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// watch returns a channel that is closed when the target of a failed attempt is back.
func watch(p *probe.Prober, last *target.PostError) (back <-chan struct{}, stop func()) {
	if last == nil || last.At == (target.Address{}) {
		return nil, func() {}
	}
	reason := probe.Failed
	switch {
	case last.Refused():
		reason = probe.Refused
	case last.Status != 0:
		reason = probe.Answered
	}
	w := p.Watch(last.At.Network, last.At.Addr, reason)
	return w.Back, w.Stop
}

// RetryNow ends the waits of all events, and of the flush, before their next attempts,
// whatever the target asked for. An attempt under way is followed by another at once if
// it fails. RetryNow returns at once. Nothing else changes: events keep their order, and
// a target that fails again has the waits of a target that goes on failing.
func (d *Delivery) RetryNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.urge)
	d.urge = make(chan struct{})
}

// urgeable is closed by the next RetryNow.
func (d *Delivery) urgeable() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.urge
}

// nextAttempt is the first of the pauses to end, if there are any. The caller holds the
// lock.
func (d *Delivery) nextAttempt() (at time.Time, why Why) {
	for p := range d.pauses {
		if at.IsZero() || p.until.Before(at) {
			at, why = p.until, p.why
		}
	}
	return at, why
}
