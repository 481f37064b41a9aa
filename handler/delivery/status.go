package delivery

import (
	"slices"
	"time"
)

// State says in a word how a target stands.
type State string

// The states of a target. One with a gap is flushing or stale, and else retrying if an
// event fails, and else refusing if it took nothing since an event was buried.
const (
	StateOK       State = "ok"       // no event's last attempt failed, and the last answer was no refusal
	StateRetrying State = "retrying" // an event's last attempt failed, and another will follow
	StateRefusing State = "refusing" // the last events were buried, and none was taken since
	StateFlushing State = "flushing" // events were lost: a flush is due
	StateStale    State = "stale"    // events were lost, and the target has no flush or refused it
)

// Status tells how a Delivery stands. No text in it holds a URL's password.
type Status struct {
	Target string // its name
	State  State  // flushing or stale before retrying before refusing before ok
	// Since is when the state began.
	Since time.Time

	// LastError is the error of the last attempt that failed. It stays after the
	// target is well again.
	LastError     string
	LastErrorTime time.Time
	// Attempts is the number of failed attempts since the target began to fail:
	// of the event that failed most often, or of the flush that is due.
	Attempts int
	// NextAttempt is when an event or the flush that failed is tried again, at the
	// latest: see Why. It is zero if nothing waits for that. Of several it is the first.
	NextAttempt time.Time
	NextWhy     Why

	// Waiting counts the events that are not settled, with those in flight and
	// those joined to another. OldestWaiting is when this node first knew the
	// oldest of them.
	Waiting int
	// InFlight counts the events that are being posted, or wait for their next
	// attempt. It is at most the target's Concurrency.
	InFlight      int
	OldestWaiting time.Time
	LastDelivered time.Time

	Delivered uint64 // events that the target took
	Retried   uint64 // attempts beyond each event's first
	Buried    uint64 // events that the target refused for good
	Outdated  uint64 // member events that were not posted, see Config.Revise
	Collapsed uint64 // events that were joined to an equal one, since New
	// Lost counts the events that were given up because too many waited or one
	// waited for too long, and those that never came into the journal. Expired
	// counts those of them that waited for too long. The journal counts both,
	// so they outlive a Delivery, as the gap does.
	Lost    uint64
	Expired uint64
	// GapSince is the time from which on the target lacks events, or may lack
	// some; zero if there is no gap. GapReason is the reason of the newest loss.
	GapSince  time.Time
	GapReason string

	Flushes        uint64 // flushes that the target has done
	FlushesRetried uint64 // attempts at a flush that failed, and are repeated
	FlushesRefused uint64 // flushes that the target refused for good
	LastFlush      time.Time

	// Latency is the time of the last deliveries, from when this node first knew
	// the event until the target had taken it, also for a replayed event.
	// AttemptLatency is the time of the last attempt alone.
	Latency        Quantiles
	AttemptLatency Quantiles
}

// progress is a Delivery's own part of its Status, beside the cursor's.
type progress struct {
	since         time.Time // when the Delivery began, or the target was last well again
	failing       failure
	refusing      refusal
	lastError     string
	lastErrorTime time.Time
	lastDelivered time.Time
	latency       samples // of deliveries, from when the event was first known
	attempts      samples // of deliveries, the last attempt alone
	flush         flushState
	drain         drainState

	delivered, retried, buried, outdated uint64
}

// failure is a time in which there is always an event whose last attempt failed. It is
// zero if there is none.
type failure struct {
	since    time.Time
	events   int // those whose last attempt failed
	attempts int // failed attempts of the event that failed most often
}

// refusal is a time in which the target takes nothing, and buries events. It is zero if
// there is none. It goes on where the buried events are requeued.
type refusal struct {
	since     time.Time
	dismissed bool   // an operator has dismissed its burials: it is no state any more
	ended     uint64 // how many such times have ended
}

// counts tells whether the target is refusing, as far as the Delivery knows.
func (r *refusal) counts() bool { return !r.since.IsZero() && !r.dismissed }

// took notes that the target took an event. It returns when the time of refusal that this
// ends began, or zero.
func (p *progress) took(now time.Time) (since time.Time) {
	if since = p.refusing.since; !since.IsZero() {
		p.refusing.since, p.since = time.Time{}, now
		p.refusing.ended++
	}
	return since
}

// answered notes that the target answered an event at this attempt, after all earlier
// attempts failed. It returns the time of failure that this ends, if any.
func (p *progress) answered(attempt int, now time.Time) failure {
	if attempt == 1 {
		return failure{} // the event did not fail
	}
	if p.failing.events--; p.failing.events > 0 {
		return failure{}
	}
	f := p.failing
	p.failing, p.since = failure{}, now
	return f
}

// Status tells how the Delivery stands now.
func (d *Delivery) Status() Status {
	c := d.cursor.Status()
	d.mu.Lock()
	p := d.state
	next, why := d.nextAttempt()
	latency, attempts := slices.Clone(p.latency.last), slices.Clone(p.attempts.last)
	d.mu.Unlock()
	s := Status{
		Target:        d.cfg.Target.Name,
		State:         StateOK,
		Since:         p.since,
		LastError:     p.lastError,
		LastErrorTime: p.lastErrorTime,
		Attempts:      p.failing.attempts,
		NextAttempt:   next,
		NextWhy:       why,
		Waiting:       c.Waiting,
		InFlight:      int(d.inFlight.Load()),
		OldestWaiting: c.Oldest,
		LastDelivered: p.lastDelivered,
		Delivered:     p.delivered,
		Retried:       p.retried,
		Buried:        p.buried,
		Outdated:      p.outdated,
		Collapsed:     c.Collapsed,
		Lost:          c.Lost,
		Expired:       c.Expired,
		GapSince:      c.Gap.Since,
		GapReason:     c.Gap.Reason,

		Flushes:        p.flush.flushed,
		FlushesRetried: p.flush.retried,
		FlushesRefused: p.flush.refused,
		LastFlush:      p.flush.last,

		Latency:        quantiles(latency),
		AttemptLatency: quantiles(attempts),
	}
	switch {
	case d.wantsFlush(c.Gap):
		s.State, s.Since, s.Attempts = StateFlushing, c.Gap.Since, max(s.Attempts, p.flush.attempts)
	case c.Gap.Open():
		s.State, s.Since = StateStale, c.Gap.Since
	case p.failing.attempts > 0:
		s.State, s.Since = StateRetrying, p.failing.since
	case !c.RefusingSince.IsZero():
		s.State, s.Since = StateRefusing, c.RefusingSince
	case c.Waiting > 0 && p.refusing.counts():
		// The burial is not in the cursor yet, or what was buried waits again.
		s.State, s.Since = StateRefusing, p.refusing.since
	}
	return s
}
