package delivery

import (
	"context"
	"errors"
	"time"

	"agentctl/handler/target"
)

// Drain is for the end of the process; it is called once, while Run works. An event or
// a flush that sits out the wait after a failed attempt gets one more attempt at once.
// Drain returns nil once no event is pending and no flush is due.
//
// It gives up, and returns the error of the last attempt, if an attempt that began
// since fails in one of these ways:
//
//   - kept returns true: the pending events are there for the next process;
//   - nobody listens at the target;
//   - the next attempt would come after the deadline of ctx, and nothing else is under
//     way.
//
// Then it has Run end, and waits for the attempts under way. If ctx ends first, Drain
// returns ctx's error and leaves Run as it is. If Run has ended by itself, Drain returns
// an error at once.
func (d *Delivery) Drain(ctx context.Context, kept func() bool) error {
	d.mu.Lock()
	d.state.drain.deadline, _ = ctx.Deadline()
	d.mu.Unlock()
	close(d.draining)
	var gaveUp error
	err := d.idle.when(ctx, func() bool {
		if d.isIdle() {
			return true
		}
		select {
		case <-d.ended:
			gaveUp = errEnded
			return true
		default:
		}
		d.mu.Lock()
		state := d.state.drain
		d.mu.Unlock()
		if state.last == nil {
			return false
		}
		stuck := state.flushLate || state.late > 0 && state.late == int(d.inFlight.Load())
		if stuck || state.refused || kept() {
			gaveUp = state.last
		}
		return gaveUp != nil
	})
	if gaveUp == nil {
		return err
	}
	d.Finish()
	select {
	case <-d.ended:
	case <-ctx.Done():
	}
	return gaveUp
}

var errEnded = errors.New("the delivery has ended")

// drainState is what a Drain has seen. The Delivery's lock guards it.
type drainState struct {
	deadline  time.Time         // zero: none
	last      *target.PostError // of the last attempt that failed; nil: none did
	refused   bool              // nobody listens
	late      int               // events whose next attempt would come after the deadline
	flushLate bool              // likewise the flush
}

// hasten is what ends the wait after an attempt that begins now: the begin of a Drain.
// It is nil for an attempt that Drain itself caused.
func (d *Delivery) hasten() <-chan struct{} {
	select {
	case <-d.draining:
		return nil
	default:
		return d.draining
	}
}

// drainFailed tells Drain of an attempt that failed, unless it began before.
func (d *Delivery) drainFailed(hasten <-chan struct{}, perr *target.PostError, wait time.Duration, flush bool) {
	if hasten != nil {
		return
	}
	d.mu.Lock()
	s := &d.state.drain
	s.last, s.refused = perr, s.refused || perr.Refused()
	if late := !s.deadline.IsZero() && time.Now().Add(wait).After(s.deadline); late && flush {
		s.flushLate = true
	} else if late {
		s.late++
	}
	d.mu.Unlock()
	d.idle.change(nil)
}
