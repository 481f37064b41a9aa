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

// FlushRequest is the request that makes a target forget everything. After it the
// target is fresh, whatever events it lacks. The request has the target's TLS,
// timeout, RetryCodes and BuryCodes, and its headers without a placeholder. Only
// 2xx means that the flush is done.
type FlushRequest struct {
	// URL has the form of a Target's, and is the target's by default.
	URL string
	// Method of the request. Default POST.
	Method string
	// Header is sent beside the target's headers. A header replaces the target's
	// of the same name.
	Header http.Header
	// Body of the request. By default it is empty. Templates see the flush as a
	// member-join event of this node.
	Body string
	// SelfJoin makes the body that of a member-join event of this node, see
	// [handler.Event.Body]. Kong drops its whole cache at such an event, unless
	// its cluster has only one member. A node that is alone lacks no events but
	// its own.
	SelfJoin bool
	// LastEvent posts the target's last event once more instead of a request. Set
	// it for a target that holds nothing but the content of its last event. The
	// last event is the newest one that the target took or that was lost. If a
	// newer event waits, that one is enough.
	LastEvent bool
}

// flushTarget returns the target to which the flush of t is posted.
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
		// The target may spell the same name in another way.
		maps.DeleteFunc(f.Header, func(other string, _ []string) bool {
			return http.CanonicalHeaderKey(other) == http.CanonicalHeaderKey(name)
		})
		f.Header[name] = values
	}
	return f.WithDefaults()
}

// FlushLine describes the target's flush in a few words, without secrets.
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
// event. The request's templates take their values from self, a member-join
// event of this node. Without a flush request the error is ErrNoFlush.
func (p *Poster) Flush(ctx context.Context, self *handler.Event) (Response, error) {
	if p.flush == nil {
		return Response{}, ErrNoFlush
	}
	return p.flush.send(ctx, self, false)
}

// ErrNoFlush means that a target has no flush request.
var ErrNoFlush = errors.New(`it has no flush request: give the target one (its key "flush"), or accept the gap once its gateway is known to be fresh`)
