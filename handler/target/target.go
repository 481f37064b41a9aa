package target

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"agentctl/handler"
	"agentctl/handler/template"
	"agentctl/handler/text"
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

// TargetError is one thing that is wrong with a target.
type Error struct {
	target string // "target", and its name where it has a good one
	Err    error  // begins with what of it is wrong, as in "flush: url: ..."
}

func (e *Error) Error() string { return e.target + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Validate returns all that is wrong with the target, joined, a line and a
// *TargetError each, or nil. No text in it repeats a password.
func (t *Target) Validate() error {
	d := t.WithDefaults()
	what := "target"
	if t.Name != "" && len(t.Name) <= handler.MaxTargetName && text.Printable(t.Name) {
		what += " " + t.Name
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, &Error{what, fmt.Errorf(format, args...)})
	}
	_, urlErr := parseURL(d.URL)
	if urlErr != nil {
		bad("url: %w", urlErr)
	}
	if d.Name == "" && urlErr == nil || !text.Printable(d.Name) {
		bad("name: %q must be printable UTF-8, as it is shown in logs and metrics", d.Name)
	}
	if len(t.Name) > handler.MaxTargetName {
		bad("name: it has %d bytes, and the limit is %d: give it a shorter one", len(t.Name), handler.MaxTargetName)
	}
	for _, f := range d.Filters {
		// Read back what is written: one place knows the valid types.
		if _, err := handler.ParseFilters(f.String()); err != nil {
			bad("filters: %w", err)
		}
	}
	if d.Timeout < 0 {
		bad("timeout: %v is negative; give a duration such as 5s", d.Timeout)
	}
	if d.MinBackoff < 0 || d.MaxBackoff < d.MinBackoff {
		bad("backoff: from %v to %v is no range; give two durations such as 100ms and 30s", d.MinBackoff, d.MaxBackoff)
	}
	if d.Concurrency < 1 || d.Concurrency > maxConcurrency {
		bad("concurrency: %d is not within 1 to %d", d.Concurrency, maxConcurrency)
	}
	if _, err := ParseOrderKey(d.OrderKey); err != nil {
		bad("order key: %w", err)
	}
	if d.MaxAge < 0 {
		bad("max age: %v is negative; give a duration such as 1h, or 0 for no limit", d.MaxAge)
	}
	if strings.ContainsFunc(d.UserAgent, text.NotInHeader) {
		bad("user agent: %q has bytes that a header cannot carry; use printable ASCII", d.UserAgent)
	}
	d.validateRequest(bad)
	d.validateCodes(bad)
	if d.Flush != nil {
		d.validateFlush(bad)
	}
	return errors.Join(errs...)
}

// ownHeaders are set by Poster itself: for the event, or to frame the request.
var ownHeaders = []string{"X-Serf-Event", "X-Serf-Event-Name", "X-Serf-Event-Ltime", "X-Serf-Event-Id",
	"Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade"}

// validateRequest looks at what a flush has of its own, too.
func (t *Target) validateRequest(bad func(string, ...any)) {
	if _, err := template.Compile(t.Method, template.InMethod); err != nil {
		bad("method: %w", err)
	} else if !template.HasPlaceholder(t.Method) && !text.IsToken(t.Method) {
		bad("method: %q is no HTTP method", t.Method)
	}
	if _, err := template.Compile(t.Body, template.InJSON); err != nil {
		bad("body: %w", err)
	} else if template.HasPlaceholder(t.Body) && !t.jsonBody() {
		bad("body: with placeholders it is JSON, and its Content-Type says otherwise")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Header)) {
		switch {
		case !text.IsToken(name):
			bad("headers: %q is no name of a header", name)
		case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
			bad("headers: %s cannot be set: agentctl sets it itself", name)
		case slices.ContainsFunc(t.Header[name], func(v string) bool { return strings.ContainsFunc(v, text.NotInHeader) }):
			bad("headers: the value of %s has bytes that a header cannot carry; use printable ASCII", name) // it may be a secret
		default:
			for _, v := range t.Header[name] {
				if _, err := template.Compile(v, template.InHeader); err != nil {
					bad("headers: the template of %s: %w", name, err)
				}
			}
		}
	}
}

func (t *Target) validateCodes(bad func(string, ...any)) {
	in := map[int]string{}
	for _, list := range []struct {
		name  string
		codes []int
	}{{"done_codes", t.DoneCodes}, {"retry_codes", t.RetryCodes}, {"bury_codes", t.BuryCodes}} {
		for _, code := range list.codes {
			switch before := in[code]; {
			case code < 200 || code > 599:
				bad("%s: %d is no status code from 200 to 599", list.name, code)
			case before != "" && before != list.name:
				bad("%s: %d is in %s already", list.name, code, before)
			}
			in[code] = list.name
		}
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
