package target

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"agentctl/handler"
)

const (
	keptAnswer    = 4 << 10  // bytes of an answer that are kept
	drainedAnswer = 64 << 10 // bytes read at most, so that the connection can be used again
	maxHeader     = 64 << 10 // bytes of an answer's header
	// bodyPatience is how long the body of an answer to an event may take. The status
	// says what the target did with the event, so the body is not worth a wait. It is
	// read for the log, and so that the connection can be used again.
	bodyPatience = 50 * time.Millisecond
	idleConns    = 8 // kept at least
	// Gateways commonly close idle connections after 60 or 75 s. Closing ours
	// first spares us attempts that fail only because the two cross.
	idleTimeout = 45 * time.Second
)

// Response is an answer by which the target has taken the event: of status 2xx, or
// of the target's DoneCodes.
type Response struct {
	Status int
	Body   []byte // its first 4 KiB
}

// Poster posts events and flush requests to one target: one attempt for each call,
// on connections that are kept. It is safe for concurrent use.
type Poster struct {
	target    Target
	at        Address
	dial      Dial
	form      *requestForm
	transport *http.Transport
	secrets   *secrets // of the target and of its flush requests
	flush     *Poster  // of the flush requests; nil: there are none
}

// NewPoster makes a Poster. It does not dial, and fails only if the target is not
// valid; see [Target.Validate] for the error.
func NewPoster(t Target) (*Poster, error) { return NewPosterOn(nil, t) }

// Dial connects to an address, as [net.Dialer.DialContext] does.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// NewPosterOn is NewPoster for another network, such as one in memory: dial connects
// to the target. If dial is nil, it is [net.Dialer.DialContext].
func NewPosterOn(dial Dial, t Target) (*Poster, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	t = t.WithDefaults()
	ep, err := parseURL(t.URL)
	if err != nil {
		return nil, err
	}
	form, err := newRequestForm(&t)
	if err != nil {
		return nil, err
	}
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	connect := dial
	if ep.socket != "" {
		connect = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, "unix", ep.socket) }
	}
	p := &Poster{
		target:  t,
		at:      ep.address(),
		dial:    dial,
		form:    form,
		secrets: newSecrets(&t),
		transport: &http.Transport{
			DialContext:            connect,
			TLSClientConfig:        t.TLS.Clone(),
			DisableCompression:     true, // the answer is shown, not used
			MaxIdleConnsPerHost:    max(idleConns, t.Concurrency),
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
	if t.Flush != nil && !t.Flush.LastEvent {
		if p.flush, err = NewPosterOn(dial, t.flushTarget()); err == nil {
			p.flush.secrets = p.secrets // one may repeat the requests of the other
		}
	}
	return p, err
}

// Dial connects to an address on the Poster's network.
func (p *Poster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return p.dial(ctx, network, addr)
}

// Target returns the target, with its defaults filled in.
func (p *Poster) Target() Target { return p.target }

// Post makes one attempt, and returns once the target has answered, the target's
// timeout has passed, or ctx has ended. The status line and the header are the answer:
// a body that is not there within 50 ms is given up, whatever length it was to have.
// Only the answer to a query is its body, and has the whole timeout. At most 64 KiB of
// a body are read. The error is a *PostError, or ctx's error
// if ctx ended first. In either case the gateway may have got the event
// nevertheless. An event that does not fit the target's templates is not sent, and
// has the class Bury.
func (p *Poster) Post(ctx context.Context, e *handler.Event) (Response, error) {
	return p.send(ctx, e, true)
}

// send makes the request for an event. Its headers say that it is an event; those of
// a flush do not.
func (p *Poster) send(ctx context.Context, e *handler.Event, told bool) (Response, error) {
	form, err := p.form.fill(e)
	if err != nil {
		return Response{}, &PostError{Class: Bury, Err: fmt.Errorf("the event was not sent, as it does not fit this target: %w", err)}
	}
	attempt, cancel := context.WithTimeout(ctx, p.target.Timeout)
	defer cancel()
	// The Transport is used without a Client: that would follow redirects, and
	// name the URL in its errors.
	var conn connTrace
	res, err := p.roundTrip(p.request(conn.watch(attempt), form, e, told), &conn)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return Response{}, ctx.Err()
		case attempt.Err() != nil:
			err = &timeoutError{p.target.Timeout}
		default:
			err = p.secrets.hideError(inWords(err))
		}
		return Response{}, &PostError{Class: Retry, Err: err, At: p.at}
	}
	if e.Type != handler.Query {
		// Reading on fails then, and the connection is closed.
		defer time.AfterFunc(bodyPatience, cancel).Stop()
	}
	answer := p.secrets.hideIn(readAnswer(res))
	done, class := p.target.done(res.StatusCode)
	if done {
		return Response{Status: res.StatusCode, Body: answer}, nil
	}
	perr := &PostError{Class: class, Status: res.StatusCode, Body: answer, At: p.at}
	if res.StatusCode/100 == 3 {
		perr.Location = shownLocation(p.secrets.hide(res.Header.Get("Location")))
	}
	if class == Retry {
		perr.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	}
	return Response{}, perr
}

// Close closes idle connections. Posts under way go on to their end.
func (p *Poster) Close() {
	p.transport.CloseIdleConnections()
	if p.flush != nil {
		p.flush.Close()
	}
}

func (p *Poster) request(ctx context.Context, form filledForm, e *handler.Event, told bool) *http.Request {
	h, body := form.header, form.body
	// Types, names and IDs come from the network, or from a journal.
	if told {
		h["X-Serf-Event"] = []string{headerValue(string(e.Type))}
		h["X-Serf-Event-Id"] = []string{headerValue(e.ID)}
		if e.Type == handler.User || e.Type == handler.Query {
			h["X-Serf-Event-Name"] = []string{headerValue(e.Name)}
			h["X-Serf-Event-Ltime"] = []string{strconv.FormatUint(e.LTime, 10)}
		}
	}
	req := &http.Request{
		Method:        form.method,
		URL:           form.url,
		Host:          form.host,
		Header:        h,
		ContentLength: int64(len(body)),
		Body:          http.NoBody,
	}
	if len(body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(body))
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(body)), nil
		}
	}
	return req.WithContext(ctx)
}

// readAnswer keeps the beginning of the body and reads on a little. Only a
// connection whose answer was read whole can be used again. It tells whether the body
// may be longer than what it kept.
func readAnswer(res *http.Response) (kept []byte, cut bool) {
	defer res.Body.Close()
	// An answer of 101 also comes here. To read its body would be to read the bare
	// connection, without end.
	if res.ContentLength == 0 {
		return nil, false
	}
	kept, err := io.ReadAll(io.LimitReader(res.Body, keptAnswer))
	if err == nil && len(kept) == keptAnswer {
		// An error here means that the connection is not used again.
		_, _ = io.CopyN(io.Discard, res.Body, drainedAnswer-keptAnswer)
	}
	return kept, err != nil || len(kept) == keptAnswer
}
