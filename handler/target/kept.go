package target

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// roundTrip makes a request. It sends the request again at once in one case: the
// connection was kept from an earlier request, turns out to be closed, and brought
// no byte of an answer. Gateways close idle connections, and that is no failure of
// theirs. But the gateway may also have taken the first request. If a new
// connection breaks, that is a failure. So each repeat uses up a kept connection.
//
// The Transport repeats a POST by itself only if it had written nothing of it.
func (p *Poster) roundTrip(req *http.Request, conn *connTrace) (*http.Response, error) {
	for {
		conn.kept = false // as long as there is no connection
		res, err := p.transport.RoundTrip(req)
		if err == nil || !conn.kept || conn.answered.Load() || req.Context().Err() != nil {
			return res, err
		}
		req = req.WithContext(req.Context()) // a copy, as a Transport asks for
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// connTrace tells about the connection of a request.
type connTrace struct {
	trace    httptrace.ClientTrace
	kept     bool        // it was used for another request before
	answered atomic.Bool // a byte of an answer came; the connection's goroutine sets it
}

// watch returns a context for the request.
func (c *connTrace) watch(ctx context.Context) context.Context {
	c.trace.GotConn = func(info httptrace.GotConnInfo) { c.kept = info.Reused }
	c.trace.GotFirstResponseByte = func() { c.answered.Store(true) }
	return httptrace.WithClientTrace(ctx, &c.trace)
}
