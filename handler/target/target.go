package target

import (
	"crypto/tls"
	"net/http"
	"slices"
	"time"

	"agentctl/handler"
)

// The values of a Target's fields that are not set.
const (
	DefaultTimeout    = 5 * time.Second
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
	defaultUserAgent  = "agentctl"
	defaultUnixPath   = "/cluster/events/" // Kong's, also for other targets on a socket
)

// maxConcurrency is the highest Concurrency of a Target.
const maxConcurrency = 256

// Target is where events are posted: the local endpoint of a gateway. A field's
// zero value means its default; only URL has none.
type Target struct {
	// Name is unique among the targets of a process. It is shown in logs,
	// status and metrics, and has at most 1,024 bytes. Default: the URL without
	// user, password and query.
	Name string
	// Filters picks the events. Without any, all events are for the target.
	Filters handler.Filters
	// URL is http://host:port/path, https://..., unix:/run/x.sock or
	// unix:/run/x.sock:/path. User and password in it become basic auth.
	//
	// Path and query may be templates with values of the event's JSON. So may
	// Method, the values of Header, and Body. See package template, and
	// PRESETS.md for a reference. An event that does not fit a template is
	// buried, as if the target had refused it.
	URL string
	// Method of the request. Default POST.
	Method string
	// Header is sent with each request. It may replace Content-Type and
	// User-Agent, and set Host. It may hold credentials, so it is never shown.
	// It must not have headers of the Poster's own: X-Serf-Event and its kin, and
	// the headers that frame a request.
	Header http.Header
	// Body of the request. By default it is the event's, see
	// [handler.Event.Body], if Method is POST, PUT or PATCH. Other methods have
	// no body by default.
	Body string
	// DoneCodes, RetryCodes and BuryCodes are status codes from 200 to 599 whose
	// meaning differs from the default; see [Class].
	DoneCodes, RetryCodes, BuryCodes []int
	// Timeout bounds one whole attempt, from dialling to the answer. Default 5 s.
	Timeout time.Duration
	// MinBackoff and MaxBackoff bound the ceiling of the random wait before
	// another attempt. The ceiling doubles with each attempt. Defaults 100 ms
	// and 30 s. A longer Retry-After of the target counts instead, up to 5 minutes.
	MinBackoff, MaxBackoff time.Duration
	// Concurrency is how many events may be in flight to the target at once,
	// each until the target takes or refuses it. Default 1, at most 256.
	Concurrency int
	// OrderKey says which events keep their order if Concurrency is above 1. By
	// default it is "payload": events with equal payloads keep their order.
	//
	// Otherwise it names one or more values of a JSON payload, by paths with "+"
	// between them, such as collection+entity.id. Events keep their order if all
	// these values are equal. A path has dots between the names of fields or, in
	// an array, numbers from 0. The values may be texts, numbers and booleans.
	//
	// An event without one of the values keeps its order with all events. So does
	// every member event.
	OrderKey string
	// Collapse lets an event wait behind an equal one, so that the target gets
	// only the first of them. Set it for a target that forgets something at an
	// event.
	Collapse bool
	// MaxAge is how long an event may wait before it counts as lost. By default
	// it may wait for ever.
	MaxAge time.Duration
	// Flush makes the target forget everything, after it lost events. If Flush is
	// nil, the target is stale then, until an operator steps in.
	Flush *FlushRequest
	// UserAgent is the value of that header. Default "agentctl".
	UserAgent string
	// TLS is for https. By default the system's certificates count.
	TLS *tls.Config

	noBody bool // the event's body does not stand in for an empty Body
}

// Endpoint returns the target's URL without user, password and query, which may
// be secrets.
func (t *Target) Endpoint() string {
	ep, err := parseURL(t.URL)
	if err != nil {
		return "(not valid)"
	}
	return ep.String()
}

// WithDefaults returns a copy of t in which the unset fields have their defaults.
func (t Target) WithDefaults() Target {
	orDefault(&t.Method, http.MethodPost)
	orDefault(&t.Timeout, DefaultTimeout)
	orDefault(&t.MinBackoff, defaultMinBackoff)
	orDefault(&t.MaxBackoff, defaultMaxBackoff)
	orDefault(&t.UserAgent, defaultUserAgent)
	orDefault(&t.Concurrency, 1)
	orDefault(&t.OrderKey, wholePayload)
	if t.Name == "" {
		if ep, err := parseURL(t.URL); err == nil {
			t.Name = ep.String()
		}
	}
	return t
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// done tells whether a status means that the target has taken the event. If not,
// the class says what to do with the event.
func (t *Target) done(status int) (bool, Class) {
	switch {
	case slices.Contains(t.DoneCodes, status):
		return true, 0
	case slices.Contains(t.RetryCodes, status):
		return false, Retry
	case slices.Contains(t.BuryCodes, status):
		return false, Bury
	}
	return status/100 == 2, classify(status)
}

func classify(status int) Class {
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status/100 == 5:
		return Retry
	}
	return Bury
}
