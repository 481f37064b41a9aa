package delivery

import (
	"slices"
	"time"
)

// State is how a target stands.
type State string

const (
	StateOK       State = "ok"       // it took or refused all events it was given
	StateRetrying State = "retrying" // an event's last attempt failed, and it is tried again
	StateFlushing State = "flushing" // events for it were lost: it is flushed, before all else
	StateStale    State = "stale"    // likewise, and it has no flush, or refused it
)

// Status is how a Delivery stands. No text in it holds a URL's password.
type Status struct {
	Target string // its name
	State  State  // flushing or stale before retrying before ok
	// Since is when the state began.
	Since time.Time

	// LastError is why an attempt failed last, also after it went well again.
	LastError     string
	LastErrorTime time.Time
	// Attempts is how often one event, the one that failed most, or the flush
	// that is due, has failed since the target began to.
	Attempts int

	// Waiting counts events neither delivered nor buried, with those in
	// flight and those joined to one that waits. OldestWaiting is when the oldest was first known.
	Waiting int
	// InFlight counts the events that are being posted, or were and are held
	// for their next attempt: at most the target's Concurrency.
	InFlight      int
	OldestWaiting time.Time
	LastDelivered time.Time

	Delivered uint64 // events taken
	Retried   uint64 // attempts beyond each event's first
	Buried    uint64 // events refused for good
	Outdated  uint64 // member events not posted, see Config.Revise
	Collapsed uint64 // events joined to an equal one that waited, by this Delivery's cursor
	// Lost counts events given up because too many waited, or one for too long
	// (Expired, among them), and those that never came into the journal. It is
	// the journal's count: it outlives a Delivery, and so does the gap.
	Lost    uint64
	Expired uint64
	// GapSince is since when the target lacks events, or may, that no flush has
	// made good; zero when there is no such gap. GapReason is of the newest loss.
	GapSince  time.Time
	GapReason string

	Flushes        uint64 // that the target has done
	FlushesRetried uint64 // attempts that failed, and were followed by others
	FlushesRefused uint64 // for good
	LastFlush      time.Time

	// Latency is of the last deliveries, from when this node first knew the
	// event until the target had taken it; one that is sent again counts from
	// when it was first known, too. AttemptLatency is of the last attempt alone.
	Latency        Quantiles
	AttemptLatency Quantiles
}

// progress is what a Delivery knows beside its cursor.
type progress struct {
	since         time.Time // when it began, or was last well again
	failing       failure
	lastError     string
	lastErrorTime time.Time
	lastDelivered time.Time
	latency       samples // of deliveries, from when the event was first known
	attempts      samples // of deliveries, the last attempt alone
	flush         flushState

	delivered, retried, buried, outdated uint64
}

// failure is a time in which there was always an event whose last attempt had
// failed; zero when there is none.
type failure struct {
	since    time.Time
	events   int // whose last attempt failed
	attempts int // that failed of one event, at most
}

// answered notes that an event is through at this attempt, after its earlier
// ones failed. It returns the time of failure that this ends, if any.
func (p *progress) answered(attempt int, now time.Time) failure {
	if attempt == 1 {
		return failure{} // it had no part in one
	}
	if p.failing.events--; p.failing.events > 0 {
		return failure{}
	}
	f := p.failing
	p.failing, p.since = failure{}, now
	return f
}

// Status tells how the delivery stands now.
func (d *Delivery) Status() Status {
	c := d.cursor.Status()
	d.mu.Lock()
	p := d.state
	latency, attempts := slices.Clone(p.latency.last), slices.Clone(p.attempts.last)
	d.mu.Unlock()
	s := Status{
		Target:        d.cfg.Target.Name,
		State:         StateOK,
		Since:         p.since,
		LastError:     p.lastError,
		LastErrorTime: p.lastErrorTime,
		Attempts:      p.failing.attempts,
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
	}
	return s
}
