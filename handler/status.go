package handler

import (
	"time"
)

// State is how a target stands.
type State string

const (
	StateOK       State = "ok"       // it took or refused the last event it was given, or was given none
	StateRetrying State = "retrying" // it fails, and is tried again
	StateStale    State = "stale"    // events for it were lost: a proven gap
)

// Status is how a Delivery stands. No text in it holds a URL's password.
type Status struct {
	Target string `json:"target"` // its name
	State  State  `json:"state"`  // stale before retrying before ok
	// Since is when the state began.
	Since time.Time `json:"since"`

	// LastError is why an attempt failed last, also after it went well again.
	LastError     string    `json:"last_error,omitempty"`
	LastErrorTime time.Time `json:"last_error_time,omitzero"`
	// Attempts is how often the event in flight has failed so far.
	Attempts int `json:"attempts,omitempty"`

	// Waiting counts events neither delivered nor buried, with the one in
	// flight. OldestWaiting is when the oldest was first known.
	Waiting       int       `json:"waiting"`
	OldestWaiting time.Time `json:"oldest_waiting,omitzero"`
	LastDelivered time.Time `json:"last_delivered,omitzero"`

	Delivered uint64 `json:"delivered"` // events taken
	Retried   uint64 `json:"retried"`   // attempts beyond each event's first
	Buried    uint64 `json:"buried"`    // events refused for good
	// Lost counts events given up because too many waited; the first at
	// GapSince. It is the journal's count: it outlives a Delivery.
	Lost     uint64    `json:"lost"`
	GapSince time.Time `json:"gap_since,omitzero"`
}

// progress is what a Delivery knows beside its cursor.
type progress struct {
	since         time.Time // when it began, or was last well again
	failing       failure
	lastError     string
	lastErrorTime time.Time
	lastDelivered time.Time

	delivered, retried, buried uint64
}

// failure is a run of attempts that failed; zero when the last one did not.
type failure struct {
	since    time.Time
	attempts int
}

// answered ends a run of failures and returns it.
func (p *progress) answered(now time.Time) failure {
	f := p.failing
	if f.attempts > 0 {
		p.failing, p.since = failure{}, now
	}
	return f
}

// Status tells how the delivery stands now.
func (d *Delivery) Status() Status {
	c := d.cursor.Status()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &d.state
	s := Status{
		Target:        d.cfg.Target.Name,
		State:         StateOK,
		Since:         p.since,
		LastError:     p.lastError,
		LastErrorTime: p.lastErrorTime,
		Attempts:      p.failing.attempts,
		Waiting:       c.Waiting,
		OldestWaiting: c.Oldest,
		LastDelivered: p.lastDelivered,
		Delivered:     p.delivered,
		Retried:       p.retried,
		Buried:        p.buried,
		Lost:          c.Lost,
		GapSince:      c.GapSince,
	}
	switch {
	case c.Lost > 0:
		s.State, s.Since = StateStale, c.GapSince
	case p.failing.attempts > 0:
		s.State, s.Since = StateRetrying, p.failing.since
	}
	return s
}
