package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/probe"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// deliverError is the error of Deliver.
type deliverError struct {
	target   string // its name
	id       string // of the event
	attempts int    // those that came to an end
	took     time.Duration
	last     *target.PostError // the last attempt; nil when none came to an end
	cause    error             // why it was given up; nil when the target refused the event
}

// Error is one line.
func (e *deliverError) Error() string {
	s := fmt.Sprintf("event %s not delivered to %s: ", text.Excerpt(e.id, text.ExcerptSize), e.target)
	last := "no attempt came to an end"
	if e.last != nil {
		last = e.last.Error()
	}
	if e.cause == nil {
		return s + "refused for good after " + e.tries() + ": " + last
	}
	return s + fmt.Sprintf("given up after %s in %v (%v): ", e.tries(), text.Round(e.took), e.cause) + last
}

func (e *deliverError) tries() string {
	if e.attempts == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", e.attempts)
}

// Unwrap returns the last attempt's *target.PostError and the cause of giving up.
func (e *deliverError) Unwrap() []error {
	var errs []error
	if e.last != nil {
		errs = append(errs, e.last)
	}
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	return errs
}

// Deliver brings one event to a target without a journal. It makes attempts, with the
// waits of the target, until the target takes the event or refuses it for good, or
// until ctx ends. The error is one line. It wraps the last attempt's *target.PostError,
// and ctx's cause if that ended.
func Deliver(ctx context.Context, p *target.Poster, e *handler.Event) error {
	return deliver(ctx, p, p.Target(), e, probe.New(p.Dial, nil))
}

func deliver(ctx context.Context, p poster, t target.Target, e *handler.Event, prober *probe.Prober) error {
	start := time.Now()
	wait := backoff.Backoff{Min: t.MinBackoff, Max: t.MaxBackoff}
	var last *target.PostError
	var failures pacing
	giveUp := func(attempts int, cause error) error {
		return &deliverError{
			target: t.Name, id: e.ID, attempts: attempts, took: time.Since(start), last: last, cause: cause,
		}
	}
	for attempt := 1; ; attempt++ {
		_, err := p.Post(ctx, e)
		if err == nil {
			return nil
		}
		perr, ok := errors.AsType[*target.PostError](err)
		if !ok {
			return giveUp(attempt-1, context.Cause(ctx))
		}
		last = perr
		if perr.Class == target.Bury {
			return giveUp(attempt, nil)
		}
		next, _ := failures.failed(wait, perr)
		if sleep(ctx, next, prober, perr) != nil {
			return giveUp(attempt, context.Cause(ctx))
		}
	}
}

// sleep waits before another attempt, or until the target is back.
func sleep(ctx context.Context, wait time.Duration, prober *probe.Prober, last *target.PostError) error {
	back, stop := watch(prober, last)
	defer stop()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-back:
	case <-ctx.Done():
	}
	return ctx.Err()
}
