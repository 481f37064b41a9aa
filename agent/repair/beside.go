package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentctl/handler/backoff"
)

const (
	// besideAfter is how long a round waits for one comparison. Then it goes on to the
	// next peer, and the comparison goes on beside it.
	besideAfter = 2 * time.Second
	// maxBeside is how many comparisons may be under way, each with a page of events.
	maxBeside = 8
	// sessionTime bounds a comparison. What was fetched by then stays, and the
	// next one goes on from there.
	sessionTime = 2 * time.Minute
	// idleTime is what a comparison has that brings no event, far more than the few
	// questions take that show where nothing is lacking. Each event and each byte of one
	// earns more time: a peer may be slow, but it may not send one event now and then.
	idleTime      = 15 * time.Second
	timeEachEvent = 20 * time.Millisecond
	slowestBytes  = 32 << 10 // a second
)

// idleWaits keep a peer from being asked again whose comparison brought nothing in its
// time: it sends lists without end, or is too slow to be of use.
var idleWaits = backoff.Backoff{Min: time.Minute, Max: 16 * time.Minute}

// errIdle ends a comparison that took its time and brought too little.
var errIdle = errors.New("repair: the comparison brings too little for its time")

// outcome is how a comparison ended.
type outcome struct {
	peer  string
	hurry bool
	err   error
}

// tally sums up what the comparisons mean that have ended since the last round.
type tally struct {
	doubts                []*doubtError
	hurry, grown, waiting bool // waiting for a peer that did not answer
}

// start compares with a peer on a goroutine of its own.
func (r *Repair) start(ctx context.Context, peer string) {
	r.underway[peer] = true
	r.comparing.Add(1)
	r.cfg.spawn(func() {
		defer r.comparing.Done()
		began := time.Now()
		hurry, err := r.attempt(ctx, peer)
		r.ended <- outcome{peer, hurry, err} // it has room for all
		if time.Since(began) >= besideAfter {
			r.Kick("a slow comparison has ended")
		}
	})
}

// await waits for the comparison with a peer, but not for long, unless too many are
// under way. Meanwhile it adds up those that end.
func (r *Repair) await(ctx context.Context, peer string, t *tally) {
	soon := time.NewTimer(besideAfter)
	defer soon.Stop()
	for r.underway[peer] {
		select {
		case o := <-r.ended:
			r.add(o, t)
		case <-soon.C:
			for len(r.underway) >= maxBeside && ctx.Err() == nil {
				select {
				case o := <-r.ended:
					r.add(o, t)
				case <-ctx.Done():
				}
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

// add notes how a comparison ended.
func (r *Repair) add(o outcome, t *tally) {
	delete(r.underway, o.peer)
	t.hurry = t.hurry || o.hurry
	switch d, doubt := errors.AsType[*doubtError](o.err); {
	case doubt && r.bornAt(d.born):
		t.doubts = append(t.doubts, d)
	case doubt: // a flush has come meanwhile
	case errors.Is(o.err, errIdle) || untrue(o.err): // it has answered, and gains nothing by that
	case o.err != nil:
		t.waiting, r.retry = true, o.peer
	}
}

// attempt is one comparison, bounded in time, whose failure is logged.
func (r *Repair) attempt(ctx context.Context, peer string) (hurry bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &session{Repair: r, peer: peer, ends: time.Now().Add(idleTime)}
	s.idle = time.AfterFunc(idleTime, func() { stop(errIdle) })
	defer s.idle.Stop()
	if hurry, err = r.compare(ctx, s); err == nil {
		return hurry, nil
	}
	if context.Cause(ctx) == errIdle {
		err = fmt.Errorf("%w: %w", errIdle, err)
		r.mu.Lock()
		r.idled.add(peer, time.Now(), idleWaits)
		r.mu.Unlock()
	}
	r.cfg.Logger.Debug("repair: a peer's journal was not compared", "peer", peer, "error", err)
	return hurry, err
}

// earn gives a comparison time for what it brought.
func (s *session) earn(events, bytes int) {
	if s.idle != nil {
		s.ends = s.ends.Add(time.Duration(events)*timeEachEvent + time.Duration(bytes)*time.Second/slowestBytes)
		s.idle.Reset(time.Until(s.ends))
	}
}
