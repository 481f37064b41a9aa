package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// DeliverError is an event that Deliver could not bring to its target.
type DeliverError struct {
	Target   string // its name
	ID       string // of the event
	Attempts int    // those that came to an end
	Took     time.Duration
	Last     *target.PostError // the last attempt; nil when none came to an end
	Err      error             // why it was given up; nil when the target refused the event
}

// Error is one line.
func (e *DeliverError) Error() string {
	s := fmt.Sprintf("event %s not delivered to %s: ", text.Excerpt(e.ID, text.ExcerptSize), e.Target)
	last := "no attempt came to an end"
	if e.Last != nil {
		last = e.Last.Error()
	}
	if e.Err == nil {
		return s + "refused for good after " + e.tries() + ": " + last
	}
	return s + fmt.Sprintf("given up after %s in %v (%v): ", e.tries(), text.Round(e.Took), e.Err) + last
}

func (e *DeliverError) tries() string {
	if e.Attempts == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", e.Attempts)
}

// Unwrap gives the last attempt's *PostError and the cause of giving up.
func (e *DeliverError) Unwrap() []error {
	var errs []error
	if e.Last != nil {
		errs = append(errs, e.Last)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// Deliver brings one event to a target without a journal: it tries, with the
// waits of the target, until the target takes the event, refuses it for good,
// or ctx ends. The error is a *DeliverError.
func Deliver(ctx context.Context, p *target.Poster, e *handler.Event) error {
	return deliver(ctx, p, p.Target(), e)
}

func deliver(ctx context.Context, p poster, t target.Target, e *handler.Event) error {
	start := time.Now()
	wait := backoff.Backoff{Min: t.MinBackoff, Max: t.MaxBackoff}
	var last *target.PostError
	giveUp := func(attempts int, cause error) error {
		return &DeliverError{
			Target: t.Name, ID: e.ID, Attempts: attempts, Took: time.Since(start), Last: last, Err: cause,
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
		if backoff.Sleep(ctx, max(wait.Wait(attempt), perr.RetryAfter)) != nil {
			return giveUp(attempt, context.Cause(ctx))
		}
	}
}
