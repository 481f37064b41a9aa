package handler

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a Target has where nothing is set.
const (
	DefaultTimeout    = 5 * time.Second
	DefaultMinBackoff = 100 * time.Millisecond
	DefaultMaxBackoff = 30 * time.Second
	DefaultUserAgent  = "agentctl"
	DefaultUnixPath   = "/cluster/events/" // Kong's
)

// Target is where events are posted: the local endpoint of a gateway. The
// zero value of each field but URL means its default.
type Target struct {
	// Name is unique among the targets of a process. It is shown in logs,
	// status and metrics. Default: the URL without user, password and query.
	Name string
	// Filters picks the events; none means every event.
	Filters Filters
	// URL is http://host:port/path, https://..., unix:/run/x.sock or
	// unix:/run/x.sock:/path. User and password in it become basic auth.
	URL string
	// Method of the request. Default POST.
	Method string
	// Header is sent with each request. It may replace Content-Type and
	// User-Agent, set Host, and hold credentials: it is never shown. It may not
	// have what a request's own making sets (see ownHeaders).
	Header http.Header
	// DoneCodes, RetryCodes and BuryCodes are status codes that mean something
	// else than they do by default; see [PostError] for that.
	DoneCodes, RetryCodes, BuryCodes []int
	// Timeout is for one whole attempt, from dialling to the end of the
	// answer. Default 5 s.
	Timeout time.Duration
	// MinBackoff and MaxBackoff bound the ceiling of the random wait before
	// another attempt, which doubles with each. Default 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
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
	orDefault(&t.MinBackoff, DefaultMinBackoff)
	orDefault(&t.MaxBackoff, DefaultMaxBackoff)
	orDefault(&t.UserAgent, DefaultUserAgent)
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

// Validate returns all that is wrong with the target, joined, a line each, or
// nil. No text in it repeats a password.
func (t *Target) Validate() error {
	d := t.WithDefaults()
	what := "target"
	if t.Name != "" && printable(t.Name) {
		what += " " + t.Name
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", what, fmt.Errorf(format, args...)))
	}
	_, urlErr := parseURL(d.URL)
	if urlErr != nil {
		bad("url: %w", urlErr)
	}
	if d.Name == "" && urlErr == nil || !printable(d.Name) {
		bad("name: %q must be printable UTF-8, as it is shown in logs and metrics", d.Name)
	}
	for _, f := range d.Filters {
		// Read back what is written: one place knows the valid types.
		if _, err := ParseFilters(f.String()); err != nil {
			bad("filters: %w", err)
		}
	}
	if d.Timeout < 0 {
		bad("timeout: %v is negative; give a duration such as 5s", d.Timeout)
	}
	if d.MinBackoff < 0 || d.MaxBackoff < d.MinBackoff {
		bad("backoff: from %v to %v is no range; give two durations such as 100ms and 30s", d.MinBackoff, d.MaxBackoff)
	}
	if strings.ContainsFunc(d.UserAgent, notInHeader) {
		bad("user agent: %q has bytes that a header cannot carry; use printable ASCII", d.UserAgent)
	}
	if !isToken(d.Method) {
		bad("method: %q is no HTTP method", d.Method)
	}
	d.validateHeader(bad)
	d.validateCodes(bad)
	return errors.Join(errs...)
}

// ownHeaders are set by Poster itself: for the event, or to frame the request.
var ownHeaders = []string{"X-Serf-Event", "X-Serf-Event-Name", "X-Serf-Event-Ltime", "X-Serf-Event-Id",
	"Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade"}

func (t *Target) validateHeader(bad func(string, ...any)) {
	for _, name := range slices.Sorted(maps.Keys(t.Header)) {
		switch {
		case !isToken(name):
			bad("headers: %q is no name of a header", name)
		case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
			bad("headers: %s cannot be set: agentctl sets it itself", name)
		case slices.ContainsFunc(t.Header[name], func(v string) bool { return strings.ContainsFunc(v, notInHeader) }):
			bad("headers: the value of %s has bytes that a header cannot carry; use printable ASCII", name) // it may be a secret
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

// isToken tells whether s can be a method or a header's name.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func notInHeader(r rune) bool { return r < ' ' || r > '~' }

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// endpoint is a target's URL taken apart. With a socket, url holds only what
// goes into the request.
type endpoint struct {
	url    *url.URL
	socket string // path of a unix socket, or ""
}

// String is the URL without what may be a secret: user, password and query.
func (ep endpoint) String() string {
	u := *ep.url
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	if ep.socket != "" {
		return "unix:" + ep.socket + ":" + u.EscapedPath()
	}
	return u.String()
}

func parseURL(raw string) (endpoint, error) {
	if raw == "" {
		return endpoint{}, errors.New("is missing; give http://HOST:PORT/PATH, https://... or unix:/SOCKET:/PATH")
	}
	var ep endpoint
	if rest, ok := strings.CutPrefix(raw, "unix:"); ok {
		// As in nginx: the first colon ends the socket's path.
		socket, path, ok := strings.Cut(rest, ":")
		if !filepath.IsAbs(socket) || strings.IndexFunc(socket, unicode.IsControl) >= 0 {
			return ep, fmt.Errorf("%q: the socket's path must be absolute, as in unix:/run/gateway.sock", "unix:"+socket)
		}
		if !ok {
			path = DefaultUnixPath
		}
		if !strings.HasPrefix(path, "/") {
			return ep, fmt.Errorf("%q: the path after the socket must begin with a slash", "unix:"+rest)
		}
		ep.socket, raw = filepath.Clean(socket), "http://localhost"+path
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ep, unparsable(raw, err)
	}
	ep.url = u
	switch port, err := strconv.Atoi(u.Port()); {
	case u.User == nil && strings.Contains(raw, "@") && u.Opaque != "":
		return ep, unparsable(raw, nil) // "user:password@host"
	case u.Scheme != "http" && u.Scheme != "https":
		return ep, fmt.Errorf("%q: the scheme must be http://, https:// or unix:", u.Redacted())
	case u.Hostname() == "":
		return ep, fmt.Errorf("%q names no host, as in http://127.0.0.1:8001/", u.Redacted())
	case u.Port() != "" && (err != nil || port < 1 || port > 65535):
		return ep, fmt.Errorf("%q: port %s is not within 1 to 65535", u.Redacted(), u.Port())
	}
	return ep, nil
}

// unparsable makes an error of one of url.Parse, whose texts repeat the URL or
// parts of it. Where there is an "@" a part may be the password.
func unparsable(raw string, err error) error {
	if strings.Contains(raw, "@") {
		return errors.New("cannot be read (not shown here, as it may hold a password); percent-encode special characters in user and password")
	}
	if uerr, ok := errors.AsType[*url.Error](err); ok {
		err = uerr.Err
	}
	return fmt.Errorf("%q cannot be read: %w", raw, err)
}
