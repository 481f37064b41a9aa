package target

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"agentctl/handler"
	"agentctl/handler/template"
	"agentctl/handler/text"
)

// Error is one thing that is wrong with a target.
type Error struct {
	Err error // begins with the part that is wrong, as in "flush: url: ..."

	target string // "target", and its name if that can be shown
}

// Error is one line, without passwords.
func (e *Error) Error() string { return e.target + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Validate returns everything that is wrong with the target, or nil: one *Error
// each, a line long, joined. No text in it repeats a password.
func (t *Target) Validate() error {
	d := t.WithDefaults()
	what := "target"
	if t.Name != "" && len(t.Name) <= handler.MaxTargetName && text.Printable(t.Name) {
		what += " " + t.Name
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, &Error{target: what, Err: fmt.Errorf(format, args...)})
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
		// Reading back what was written leaves the valid types to ParseFilters.
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
		bad("order_key: %w", err)
	}
	if d.MaxAge < 0 {
		bad("max_age: %v is negative; give a duration such as 1h, or 0 for no limit", d.MaxAge)
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

// ownHeaders are the headers that a Poster sets itself, for the event or to frame
// the request.
var ownHeaders = []string{"X-Serf-Event", "X-Serf-Event-Name", "X-Serf-Event-Ltime", "X-Serf-Event-Id",
	"Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade"}

// validateRequest checks the parts that a flush request has as well.
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

// jsonBody tells whether a target's Content-Type is JSON. Templates of bodies are
// escaped for nothing else.
func (t *Target) jsonBody() bool {
	for name, values := range t.Header {
		if http.CanonicalHeaderKey(name) == "Content-Type" && len(values) > 0 {
			kind, _, err := mime.ParseMediaType(values[0])
			return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
		}
	}
	return true
}

func (t *Target) validateFlush(bad func(string, ...any)) {
	badFlush := func(format string, args ...any) { bad("flush: %w", fmt.Errorf(format, args...)) }
	if own := t.Flush; own.LastEvent && (own.URL != "" || own.Method != "" || own.Body != "" || len(own.Header) > 0 || own.SelfJoin) {
		badFlush("it is the last event once more, and has a request of its own, too: leave one of them out")
	} else if own.LastEvent && t.Collapse {
		badFlush("where the last event counts none may be joined to an earlier one that is equal: leave collapse out")
	}
	f := t.flushTarget()
	if t.Flush.URL != "" {
		if _, err := parseURL(f.URL); err != nil {
			badFlush("url: %w", err)
		}
	}
	f.Header = t.Flush.Header // the target's own are checked with the target
	f.validateRequest(badFlush)
	if t.Flush.SelfJoin && t.Flush.Body != "" {
		badFlush("it is a member-join of this node, and has a body of its own, too: leave one of them out")
	}
}
