package target

import (
	"crypto/tls"
	"net/http"
	"slices"
	"time"

	"agentctl/handler"
)

// What a Target has where nothing is set.
const (
	DefaultTimeout    = 5 * time.Second
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
	defaultUserAgent  = "agentctl"
	defaultUnixPath   = "/cluster/events/" // Kong's
)

// MaxConcurrency is the highest Concurrency of a Target.
const maxConcurrency = 256

// Target is where events are posted: the local endpoint of a gateway. The
// zero value of each field but URL means its default.
type Target struct {
	// Name is unique among the targets of a process. It is shown in logs,
	// status and metrics, and has at most 1,024 bytes. Default: the URL without
	// user, password and query.
	Name string
	// Filters picks the events; none means every event.
	Filters handler.Filters
	// URL is http://host:port/path, https://..., unix:/run/x.sock or
	// unix:/run/x.sock:/path. User and password in it become basic auth.
	//
	// Path and query, as well as Method, the values of Header, and Body, may be
	// templates, with values of the event's JSON in them: see Template, and
	// README.md for a reference. An event of which a template makes nothing
	// that can be sent is refused, as if with an answer that buries it.
	URL string
	// Method of the request. Default POST.
	Method string
	// Header is sent with each request. It may replace Content-Type and
	// User-Agent, set Host, and hold credentials: it is never shown. It may not
	// have what a request's own making sets (see ownHeaders).
	Header http.Header
	// Body of the request. Default: that of the event, see [Event.Body], where
	// Method is POST, PUT or PATCH, and none with other methods.
	Body string
	// NoBody leaves out the event's body, where Body is empty.
	noBody bool
	// DoneCodes, RetryCodes and BuryCodes are status codes that mean something
	// else than they do by default; see [PostError] for that.
	DoneCodes, RetryCodes, BuryCodes []int
	// Timeout is for one whole attempt, from dialling to the end of the
	// answer. Default 5 s.
	Timeout time.Duration
	// MinBackoff and MaxBackoff bound the ceiling of the random wait before
	// another attempt, which doubles with each. Default 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// Concurrency is how many events may be in flight to the target at once,
	// each until the target takes or refuses it. Default 1, at most 256.
	Concurrency int
	// OrderKey says which events keep their order where Concurrency is above
	// 1: "payload", the default, those whose payloads are equal; else those in
	// whose JSON payloads one or more values are equal, named by paths with
	// "+" between them, such as collection+entity.id. A path has dots between
	// the names of fields or, in an array, numbers from 0. The values may be
	// texts, numbers and booleans. An event in which one of them is missing,
	// and every member event, keeps its order with all events.
	OrderKey string
	// Collapse and MaxAge are for the target's cursor, see [CursorConfig].
	Collapse bool
	MaxAge   time.Duration
	// Flush is made when events for the target were lost. nil: there is none,
	// and the target's state is stale then.
	Flush *FlushRequest
	// UserAgent is that header's value; the caller puts its version there.
	UserAgent string
	// TLS is for https. nil: the system's certificates.
	TLS *tls.Config
}

// Endpoint is the target's URL without what may be a secret in it.
func (t *Target) Endpoint() string {
	ep, err := parseURL(t.URL)
	if err != nil {
		return "(not valid)"
	}
	return ep.String()
}

// WithDefaults returns t with its unset fields filled in.
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

// done tells whether an answer of this status means that the target has taken
// the event, and otherwise what to do with it.
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
