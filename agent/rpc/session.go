package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"agentctl/agent/admission"
	"agentctl/handler/socket"
	"agentctl/rpcclient/wire"
)

// session is one connection. Its fields belong to the goroutine that reads
// requests, unless they say otherwise.
type session struct {
	*Server
	ctx     context.Context // ends with the connection
	fail    func(error)     // ends it, and says why
	conn    net.Conn
	of      *admission.Conn
	name    string // for the log
	in      *input
	r       *wire.Reader
	out     *outbox        // safe for concurrent use
	queries sync.WaitGroup // goroutines that stream answers
	pending pending        // safe for concurrent use

	header     wire.RequestHeader // of the request
	handshaken bool
	authed     bool
	strikes    int       // refused requests before auth, and wrong keys
	monitor    *queue    // the one that a client may have
	wasLarge   func()    // ends a large request; nil: the request is none
	then       func()    // set by a command: what to do once its answer is queued
	sent       Published // set by the command to publish: goes with its answer
	frame      []byte    // of the last answer, to be used again
}

var (
	// errClosing ends a session whose client has been told why, or need not be.
	errClosing = errors.New("closing")
	// errGivenUp ends a session that waited for its client, where there is no room.
	errGivenUp = errors.New("it waited longest, and another client needed room")
)

// serveConn serves one client until it goes away, breaks a rule, or ctx ends. cancel
// ends ctx.
func (s *Server) serveConn(ctx context.Context, cancel context.CancelCauseFunc, conn net.Conn, of *admission.Conn) {
	conn = socket.New(conn)
	s.metrics.clients.Inc()
	defer s.metrics.clients.Dec()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()

	c := &session{
		Server: s,
		ctx:    ctx,
		fail:   cancel,
		conn:   conn,
		of:     of,
		name:   s.nameOf(conn),
		in:     &input{conn: conn, timeout: s.cfg.requestTimeout, timed: true},
		out:    newOutbox(s.cfg.maxStreams, s.cfg.queueBytes, bound{of.Bytes(), s.cfg.queueEach}, bound{&s.queued, s.cfg.queueAll}),
	}
	c.out.enter = func() (leave func(), ok bool) { return s.streams.Enter(of.Client()) }
	c.r = wire.NewReader(c.in, s.cfg.preAuth)
	c.r.OnLarge(c.beginLarge)
	defer c.endLarge()
	s.cfg.Logger.Debug("rpc: client accepted", "client", c.name)
	countAccept()
	conn.SetReadDeadline(time.Now().Add(s.cfg.handshakeTimeout))

	var writer sync.WaitGroup
	writer.Go(func() {
		if err := c.out.write(conn, s.cfg.writeTimeout, c.reportDropped); err != nil {
			cancel(err) // wakes the reader too, by closing conn
		}
	})
	err := c.readRequests()
	c.out.close() // streams and queries end with the requests
	c.out.finish()
	writer.Wait()
	if context.Cause(ctx) == nil && errors.Is(err, errClosing) {
		c.in.linger()
	}
	c.reportEnd(err, context.Cause(ctx))
	cancel(nil)
	c.queries.Wait()
}

// readRequests handles one request after the other, until one fails.
func (c *session) readRequests() error {
	for {
		c.header = wire.RequestHeader{}
		if err := c.r.Read(&c.header); err != nil {
			return err
		}
		if c.ready() && !c.of.Work() {
			return errGivenUp
		}
		if err := c.handle(c.header); err != nil {
			return err
		}
		c.endLarge()
		if c.ready() {
			c.in.rest(c.r.Buffered() > 0)
			c.settle()
		}
	}
}

// maxLarge is how many requests may be large at a time, over all clients; a quarter of
// them may be of one client. Each takes up to twice its bytes, for as long as it comes.
const maxLarge = 64

// beginLarge waits for the turn of a request that is large.
func (c *session) beginLarge() error {
	if c.wasLarge != nil {
		return nil // its header was large, too
	}
	leave, ok := c.large.enter(c.ctx, c.of.Client())
	if !ok {
		return context.Cause(c.ctx)
	}
	select {
	case c.larges <- struct{}{}:
	case <-c.ctx.Done():
		leave()
		return context.Cause(c.ctx)
	}
	c.wasLarge = func() {
		<-c.larges
		leave()
	}
	return nil
}

func (c *session) endLarge() {
	if c.wasLarge != nil {
		c.wasLarge()
		c.wasLarge = nil
	}
}

// ready reports whether the client may give commands.
func (c *session) ready() bool {
	return c.handshaken && (c.authed || c.cfg.AuthKey == "")
}

// settle tells whether the connection waits for its client now: another may need its
// room. One that has shown a key stays, and so does one with streams.
func (c *session) settle() {
	if c.cfg.AuthKey != "" || c.out.streams() > 0 {
		c.of.Work()
		return
	}
	c.of.Wait()
}

// handle reads the rest of one request, handles it and answers it.
func (c *session) handle(h wire.RequestHeader) error {
	do, known := commands[h.Command]
	label := "unknown"
	if known {
		label = string(h.Command)
	}
	c.metrics.requests.WithLabelValues(label).Inc()
	if !c.handshaken && h.Command != wire.Handshake {
		// Serf sends no body after this, whatever the command.
		c.reject(rejectHandshake, c.name, errors.New("the first request is not a handshake"))
		return c.sendAndClose(h, wire.ErrHandshakeRequired, nil)
	}
	c.metrics.commands.Count("")
	switch {
	case !c.ready() && h.Command != wire.Handshake && h.Command != wire.Auth:
		c.reject(rejectAuth, c.name, errors.New("a request came before auth"))
		if !known {
			return c.sendAndClose(h, wire.ErrAuthRequired, nil)
		}
		if h.Command.HasRequest() {
			if err := c.r.Read(nil); err != nil {
				return err
			}
		}
		return c.strike(c.send(h, wire.ErrAuthRequired, nil))
	case !known:
		c.reject(rejectCommand, c.name, fmt.Errorf("command %.40q is not known", h.Command))
		return c.sendAndClose(h, wire.ErrUnsupportedCommand, nil)
	}
	return do(c, h)
}

// strike counts a refused request and, unless err is set already, ends the
// session after too many.
func (c *session) strike(err error) error {
	if c.strikes++; err == nil && c.strikes >= maxStrikes {
		return errClosing
	}
	return err
}

// send queues an answer. A nil body sends none.
func (c *session) send(h wire.RequestHeader, text string, body any) (err error) {
	frame := wire.AppendResponse(c.frame[:0], &wire.ResponseHeader{
		Seq: h.Seq, Error: text, Warning: c.sent.Warning, ID: c.sent.ID, HTTPAddr: c.sent.HTTPAddr,
	})
	c.sent = Published{}
	if body != nil {
		encoded, err := encode(body)
		if err != nil {
			return fmt.Errorf("encoding the answer to %s: %w", h.Command, err)
		}
		frame = append(frame, encoded...)
	}
	if c.frame = frame; cap(frame) > batchBytes {
		c.frame = nil // one large answer shall not hold memory for ever
	}
	if c.r.Buffered() == 0 { // else more requests are there, and the answers go together
		done, err := c.out.replyAtOnce(c.conn, c.cfg.writeTimeout, frame)
		if err != nil {
			c.fail(err)
		}
		if done || err != nil {
			return err
		}
	}
	return c.out.reply(c.ctx, bytes.Clone(frame))
}

func (c *session) sendAndClose(h wire.RequestHeader, text string, body any) error {
	if err := c.send(h, text, body); err != nil {
		return err
	}
	return errClosing
}

// reportDropped logs that the client reads its streams too slowly. The writer
// calls it between two batches: a subscription that drops must not log.
func (c *session) reportDropped() {
	const every = 10 * time.Second
	if n := c.out.takeDropped(); n > 0 {
		c.sampled.Log(slog.LevelWarn, "rpc: records of a stream dropped, the client reads too slowly", every,
			"client", c.name, "dropped", n)
	}
}

// reportEnd counts and logs why the session ended. Either error may be nil.
func (c *session) reportEnd(read, cause error) {
	err := read
	if cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause // the writer failed first, and the reader because of it
	}
	var reason string
	switch {
	case errors.Is(cause, context.Canceled), errors.Is(err, errClosing):
	case errors.Is(cause, errGivenUp):
		reason = rejectWaiting
	case errors.Is(cause, os.ErrDeadlineExceeded):
		reason, err = rejectSlow, fmt.Errorf("it took nothing for %v", c.cfg.writeTimeout)
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason, err = rejectTimeout, errors.New("its request did not come in time")
		if !c.ready() {
			err = fmt.Errorf("no handshake and auth within %v", c.cfg.handshakeTimeout)
		}
	default:
		reason = unreadableReason(err)
	}
	if reason != "" {
		c.reject(reason, c.name, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, errClosing) || errors.Is(cause, context.Canceled) {
		err = nil
	}
	c.cfg.Logger.Debug("rpc: client gone", "client", c.name, "error", err, "dropped", c.out.takeDropped())
}

// unreadableReason tells a message that breaks the rules from a connection that
// broke; for the latter it returns "".
func unreadableReason(err error) string {
	if errors.Is(err, wire.ErrLimit) {
		return rejectLimit
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, context.Canceled} {
		if errors.Is(err, broken) {
			return ""
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok { // also a reset, a deadline, a closed socket
		return ""
	}
	return rejectMalformed
}

// input reads from the connection, and gives a request that has begun a time
// to end: one that stops half way would hold its memory for ever.
type input struct {
	conn    net.Conn
	timeout time.Duration
	resting bool   // nothing of a request has come yet
	timed   bool   // there is a deadline
	ahead   []byte // was read by await
}

func (in *input) Read(p []byte) (int, error) {
	if len(in.ahead) > 0 {
		n := copy(p, in.ahead)
		in.ahead = in.ahead[n:]
		return n, nil
	}
	if !in.resting && !in.timed { // a request that comes whole needs none
		in.timed = true
		in.conn.SetReadDeadline(time.Now().Add(in.timeout))
	}
	n, err := in.conn.Read(p)
	in.resting = in.resting && n == 0
	return n, err
}

// rest waits without a deadline for what comes next, unless that has begun to come.
func (in *input) rest(begun bool) {
	in.resting = !begun
	if in.timed {
		in.timed = false
		in.conn.SetReadDeadline(time.Time{})
	}
}

// await waits until the client goes away, or sends something, at most for the given time.
func (in *input) await(most time.Duration) {
	in.conn.SetReadDeadline(time.Now().Add(most))
	next := make([]byte, 1)
	n, _ := in.conn.Read(next) // an error comes again
	in.ahead = append(in.ahead, next[:n]...)
	in.timed = true
	in.conn.SetReadDeadline(time.Now().Add(in.timeout))
}

// linger lets the client read the last answer: closing a socket with unread
// input resets the connection, and the answer may be lost on the way.
func (in *input) linger() {
	const limit, wait = 4 << 20, time.Second
	half, ok := in.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	in.conn.SetReadDeadline(time.Now().Add(wait))
	io.CopyN(io.Discard, in.conn, limit) // whatever ends it, the connection ends
}
