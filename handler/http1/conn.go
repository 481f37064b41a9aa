package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"agentctl/handler/socket"
)

const (
	// atOnce is the size of a request that is written before its answer is read. It
	// fits into the buffers of a socket, so the write does not wait for the server.
	atOnce = 16 << 10
	// readBuffer is the size of a connection's buffer.
	readBuffer = 4 << 10
)

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// conn is a connection to the server. One goroutine uses it at a time.
type conn struct {
	net.Conn              // TLS, where there is TLS
	socket   *socket.Conn // below that
	in       *bufio.Reader
	out      []byte
	got      int       // bytes that came since the request began
	since    time.Time // idle since
	chunks   chunkReader
	kept     []byte // where the beginning of a body is read to
}

func newConn(nc net.Conn) *conn {
	s := socket.New(nc)
	cn := &conn{Conn: s, socket: s}
	cn.in = bufio.NewReaderSize(cn, readBuffer)
	return cn
}

// Read counts what comes.
func (cn *conn) Read(p []byte) (int, error) {
	n, err := cn.Conn.Read(p)
	cn.got += n
	return n, err
}

// quiet tells whether nothing has come on an idle connection. Without a socket that is
// noticed only by the next request.
func (cn *conn) quiet() bool {
	return cn.in.Buffered() == 0 && !cn.socket.Readable()
}

// interrupt ends what waits for the connection.
func (cn *conn) interrupt() { cn.SetDeadline(longAgo) }

// exchange sends a request and reads its answer. It tells whether the connection can be
// used again.
func (cn *conn) exchange(ctx context.Context, deadline time.Time, r *Request) (a Answer, again bool, err error) {
	if err := cn.SetDeadline(deadline); err != nil {
		return a, false, err
	}
	stop := context.AfterFunc(ctx, cn.interrupt)
	defer func() { again = stop() && again }()
	if len(r.Head)+len(r.Body) <= atOnce {
		cn.out = append(append(cn.out[:0], r.Head...), r.Body...)
		if _, err = cn.Write(cn.out); err == nil {
			return cn.answer(ctx, deadline, r)
		}
		return cn.early(ctx, deadline, r, err)
	}
	// A server may answer before it has read all, and wait with the rest until its
	// answer is read.
	written := make(chan error, 1)
	go func() {
		parts := net.Buffers{r.Head, r.Body}
		_, err := parts.WriteTo(cn.Conn)
		written <- err
	}()
	a, again, err = cn.answer(ctx, deadline, r)
	select {
	case werr := <-written:
		again = again && werr == nil
		if err != nil && werr != nil && cn.got == 0 {
			err = werr
		}
	default: // it is not read to its end
		again = false
		cn.interrupt()
		<-written
	}
	return a, again, err
}

// early reads the answer of a server that gave it, and closed the connection, before the
// request was written. If there is none, the error is that of the write.
func (cn *conn) early(ctx context.Context, deadline time.Time, r *Request, werr error) (Answer, bool, error) {
	if !errors.Is(werr, os.ErrDeadlineExceeded) {
		if a, _, err := cn.answer(ctx, deadline, r); err == nil {
			return a, false, nil
		}
	}
	return Answer{}, false, werr
}

// answer reads an answer.
func (cn *conn) answer(ctx context.Context, deadline time.Time, r *Request) (a Answer, again bool, err error) {
	h, err := readHead(cn.in)
	if err != nil {
		return a, false, err
	}
	a = Answer{Status: h.status, Location: h.location, RetryAfter: h.retryAfter}
	if h.status == 101 || r.ToHEAD || h.status == 204 || h.status == 304 || h.length == 0 {
		return a, h.again && h.status != 101 && cn.in.Buffered() == 0, nil
	}
	if r.BodyTimeout > 0 && (h.length < 0 || int64(cn.in.Buffered()) < h.length) {
		if until := time.Now().Add(r.BodyTimeout); until.Before(deadline) {
			cn.SetReadDeadline(until)
			if ctx.Err() != nil { // what it ended may have been this deadline's predecessor
				cn.interrupt()
			}
		}
	}
	var whole bool
	a.Body, a.Cut, whole = cn.body(&h, r)
	return a, whole && h.again && cn.in.Buffered() == 0, nil
}

// body reads the body of an answer, and tells whether it may be longer than what is kept,
// and whether it came to its end.
func (cn *conn) body(h *head, r *Request) (kept []byte, cut, whole bool) {
	var body io.Reader
	switch {
	case h.chunked:
		cn.chunks.reset(cn.in)
		body = &cn.chunks
	case h.length >= 0:
		body = &exactly{cn.in, h.length}
	default:
		body = cn.in
	}
	if cap(cn.kept) < r.Keep {
		cn.kept = make([]byte, r.Keep)
	}
	n, err := io.ReadFull(body, cn.kept[:r.Keep])
	kept = bytes.Clone(cn.kept[:n])
	if err == nil {
		// One byte more than may be read shows whether it ends there.
		var more int64
		more, err = io.CopyN(io.Discard, body, int64(r.Read-r.Keep)+1)
		return kept, err != io.EOF || more > 0, err == io.EOF
	}
	whole = n == 0 && err == io.EOF || n > 0 && err == io.ErrUnexpectedEOF
	return kept, !whole, whole
}

// exactly reads n bytes of a body. One that breaks off is no end.
type exactly struct {
	r io.Reader
	n int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	if e.n -= int64(n); err == io.EOF && e.n > 0 {
		err = errBrokeOff
	}
	return n, err
}

// errBrokeOff means that a body is shorter than it was to be.
var errBrokeOff = errors.New("the body broke off")
