package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	keptAnswer    = 4 << 10  // bytes of an answer that are kept
	drainedAnswer = 64 << 10 // bytes read at most, so that the connection can be used again
	maxHeader     = 64 << 10 // bytes of an answer's header
	idleConns     = 8
	// Gateways commonly close idle connections after 60 or 75 s. Closing ours
	// first spares us attempts that fail only because the two cross.
	idleTimeout = 45 * time.Second
)

// Response is an answer that means the target has taken the event: of status
// 2xx, or of the target's DoneCodes.
type Response struct {
	Status int
	Body   []byte // its first 4 KiB
}

// Poster posts events to one target, an attempt for each call, on connections
// that are kept. It follows no redirect and uses no HTTP proxy: the gateway is
// on this node. It is safe for concurrent use.
type Poster struct {
	target    Target
	url       *url.URL
	host      string // of the Host header
	transport *http.Transport
	header    http.Header // what all requests share
}

// NewPoster makes a Poster. It fails only when the target is not valid, and
// does not dial.
func NewPoster(t Target) (*Poster, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	t = t.WithDefaults()
	ep, err := parseURL(t.URL)
	if err != nil {
		return nil, err
	}
	dial := (&net.Dialer{}).DialContext
	if ep.socket != "" {
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", ep.socket)
		}
	}
	p := &Poster{
		target: t,
		url:    ep.url,
		transport: &http.Transport{
			DialContext:            dial,
			TLSClientConfig:        t.TLS.Clone(),
			DisableCompression:     true, // the answer is shown, not used
			MaxIdleConnsPerHost:    idleConns,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
		},
		header: http.Header{
			"Content-Type": {"application/json"},
			"User-Agent":   {t.UserAgent},
		},
	}
	if u := ep.url.User; u != nil {
		password, _ := u.Password()
		req := http.Request{Header: p.header}
		req.SetBasicAuth(u.Username(), password)
	}
	p.host = ep.url.Host
	for name, values := range t.Header {
		if name = http.CanonicalHeaderKey(name); name == "Host" && len(values) > 0 {
			p.host = values[0]
		} else {
			p.header[name] = values
		}
	}
	return p, nil
}

// Post makes one attempt and returns when it is over: answered, failed, out of
// time, or ctx ended. An answer of status 2xx, or of DoneCodes, is success, even where its body
// breaks off: the gateway has taken the event. Otherwise the error is a
// *PostError, or ctx's error where ctx ended first; then the gateway may still
// have got the event.
func (p *Poster) Post(ctx context.Context, e *Event) (Response, error) {
	attempt, cancel := context.WithTimeout(ctx, p.target.Timeout)
	defer cancel()
	// The Transport is used without a Client: that would follow redirects, and
	// name the URL in its errors.
	res, err := p.transport.RoundTrip(p.request(attempt, e))
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return Response{}, ctx.Err()
		case attempt.Err() != nil:
			err = &timeoutError{p.target.Timeout}
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("connection closed before an answer came: %w", err)
		}
		return Response{}, &PostError{Class: Retry, Err: err}
	}
	body := readAnswer(res)
	done, class := p.target.done(res.StatusCode)
	if done {
		return Response{Status: res.StatusCode, Body: body}, nil
	}
	perr := &PostError{Class: class, Status: res.StatusCode, Body: body}
	if class == Retry {
		perr.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	}
	return Response{}, perr
}

// Close closes idle connections. Posts under way go on to their end.
func (p *Poster) Close() { p.transport.CloseIdleConnections() }

func (p *Poster) request(ctx context.Context, e *Event) *http.Request {
	body := e.Body()
	h := make(http.Header, len(p.header)+4)
	maps.Copy(h, p.header)
	// Types, names and IDs come from the network, or from a journal.
	h["X-Serf-Event"] = []string{headerValue(string(e.Type))}
	h["X-Serf-Event-Id"] = []string{headerValue(e.ID)}
	if e.Type == User || e.Type == Query {
		h["X-Serf-Event-Name"] = []string{headerValue(e.Name)}
		h["X-Serf-Event-Ltime"] = []string{strconv.FormatUint(e.LTime, 10)}
	}
	req := &http.Request{
		Method:        p.target.Method,
		URL:           p.url,
		Host:          p.host,
		Header:        h,
		ContentLength: int64(len(body)),
		Body:          http.NoBody,
	}
	if len(body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(body))
		// With GetBody the Transport itself repeats a request that met a
		// connection the gateway had just closed for being idle.
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(body)), nil
		}
	}
	return req.WithContext(ctx)
}

// readAnswer keeps the beginning of the body and reads on a little, as only a
// connection whose answer was read whole can be used again.
func readAnswer(res *http.Response) []byte {
	defer res.Body.Close()
	// So it is with 101 too, where reading would be from the bare connection,
	// and without end.
	if res.ContentLength == 0 {
		return nil
	}
	kept, err := io.ReadAll(io.LimitReader(res.Body, keptAnswer))
	if err == nil && len(kept) == keptAnswer {
		// An error here means that the connection is not used again.
		_, _ = io.CopyN(io.Discard, res.Body, drainedAnswer-keptAnswer)
	}
	return kept
}
