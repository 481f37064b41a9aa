package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"agentctl/handler"
	"agentctl/handler/http1"
)

const (
	keptAnswer    = 4 << 10  // bytes of an answer that are kept
	drainedAnswer = 64 << 10 // bytes read at most, so that the connection can be used again
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
	target  Target
	at      Address
	dial    Dial
	form    *requestForm
	client  *http1.Client
	secrets *secrets // of the target and of its flush requests
	flush   *Poster  // of the flush requests; nil: there are none
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
	p := &Poster{target: t, at: ep.address(), dial: dial, form: form, secrets: newSecrets(&t)}
	p.client = http1.New(http1.Config{
		Dial:        func(ctx context.Context) (net.Conn, error) { return dial(ctx, p.at.Network, p.at.Addr) },
		TLS:         ep.tls(t.TLS),
		Idle:        max(idleConns, t.Concurrency),
		IdleTimeout: idleTimeout,
	})
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
	req := http1.Request{
		Head: form.head(e, told), Body: form.body, ToHEAD: form.method == http.MethodHead,
		Timeout: p.target.Timeout, Keep: keptAnswer, Read: drainedAnswer,
	}
	if e.Type != handler.Query {
		req.BodyTimeout = bodyPatience
	}
	res, err := p.client.Do(ctx, &req)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return Response{}, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
			err = &timeoutError{p.target.Timeout}
		default:
			err = p.secrets.hideError(inWords(err))
		}
		return Response{}, &PostError{Class: Retry, Err: err, At: p.at}
	}
	answer := p.secrets.hideIn(res.Body, res.Cut)
	done, class := p.target.done(res.Status)
	if done {
		return Response{Status: res.Status, Body: answer}, nil
	}
	perr := &PostError{Class: class, Status: res.Status, Body: answer, At: p.at}
	if res.Status/100 == 3 {
		perr.Location = shownLocation(p.secrets.hide(res.Location))
	}
	if class == Retry {
		perr.RetryAfter = retryAfter(res.RetryAfter, time.Now())
	}
	return Response{}, perr
}

// Close closes idle connections. Posts under way go on to their end.
func (p *Poster) Close() {
	p.client.Close()
	if p.flush != nil {
		p.flush.Close()
	}
}

// head is the request line and the header of an event's request. Unless it is told what
// the event is, those of a flush.
func (f *filledForm) head(e *handler.Event, told bool) []byte {
	h := make([]byte, len(f.lines), len(f.lines)+256)
	copy(h, f.lines)
	// Types, names and IDs come from the network, or from a journal.
	if told {
		h = appendField(h, "X-Serf-Event", headerValue(string(e.Type)))
		h = appendField(h, "X-Serf-Event-Id", headerValue(e.ID))
		if e.Type == handler.User || e.Type == handler.Query {
			h = appendField(h, "X-Serf-Event-Name", headerValue(e.Name))
			h = append(strconv.AppendUint(append(h, "X-Serf-Event-Ltime: "...), e.LTime, 10), "\r\n"...)
		}
	}
	if len(f.body) > 0 || takesBody(f.method) { // some gateways ask for a length of nothing, too
		h = append(strconv.AppendInt(append(h, "Content-Length: "...), int64(len(f.body)), 10), "\r\n"...)
	}
	return append(h, "\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	return append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
}
