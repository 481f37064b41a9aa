package target

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"agentctl/handler"
	"agentctl/handler/template"
)

// FlushRequest is the request that makes a target forget all that it holds, so
// that it is fresh whatever events it lacks. It is made with the target's
// headers, but those with values of an event, TLS, timeout and RetryCodes and
// BuryCodes. Only 2xx means that it is
// done: DoneCodes tell of single events, and a wrong URL must not pass for a
// flush.
type FlushRequest struct {
	// URL is as a Target's, and by default that of the target.
	URL string
	// Method of the request. Default POST.
	Method string
	// Header is sent beside the target's, and takes the place of what is there
	// of the same names.
	Header http.Header
	// Body of the request; it may be empty. As to templates the flush is a
	// member-join event of this node.
	Body string
	// SelfJoin makes the body that of a member-join event of this node, see
	// [Event.Body] and Config.Self. Kong drops its whole cache at one,
	// where its cluster has more than one member: one that is alone has nobody
	// to lack an event of but itself.
	SelfJoin bool
	// LastEvent makes the target's last event wait once more, in the place of a
	// request of its own: for a target of which each event replaces all that it
	// holds. That is the newest one that it took or that was given up; where a
	// newer one waits, it is enough that this comes. See [Cursor.RequeueLast].
	LastEvent bool
}

// flushTarget is a target to which the flush of t is posted.
func (t *Target) flushTarget() Target {
	f := *t
	f.Flush, f.DoneCodes, f.Method, f.Body = nil, nil, t.Flush.Method, t.Flush.Body
	f.noBody = true
	if t.Flush.SelfJoin {
		f.Body = "{{payload}}"
	}
	if t.Flush.URL != "" {
		f.URL = t.Flush.URL
	}
	f.Header = http.Header{}
	for name, values := range t.Header {
		if !slices.ContainsFunc(values, template.HasPlaceholder) {
			f.Header[name] = values
		}
	}
	for name, values := range t.Flush.Header {
		// The target's may be spelled in another way.
		maps.DeleteFunc(f.Header, func(other string, _ []string) bool {
			return http.CanonicalHeaderKey(other) == http.CanonicalHeaderKey(name)
		})
		f.Header[name] = values
	}
	return f.WithDefaults()
}

// FlushLine describes the target's flush in a few words, without what may be a
// secret in it.
func (t *Target) FlushLine() string {
	if t.Flush == nil {
		return "none"
	}
	if t.Flush.LastEvent {
		return "the last event once more"
	}
	f := t.flushTarget()
	line := f.Method + " " + f.Endpoint()
	if t.Flush.SelfJoin {
		line += ", a member-join of this node"
	}
	return line
}

// Flush makes one attempt at the target's flush request, as Post does for an
// event. What it takes from an event is that of self, a member-join of this
// node.
func (p *Poster) Flush(ctx context.Context, self *handler.Event) (Response, error) {
	if p.flush == nil {
		return Response{}, ErrNoFlush
	}
	return p.flush.send(ctx, self, false)
}

// ErrNoFlush means that a target has no flush request to be made.
var ErrNoFlush = errors.New(`it has no flush request: give the target one (its key "flush"), or accept the gap once its gateway is known to be fresh`)
