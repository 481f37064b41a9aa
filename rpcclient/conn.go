package rpcclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"agentctl/rpcclient/wire"
)

// answer takes what the agent sends under one sequence number. Its methods are
// called from one goroutine and must not wait for anyone.
type answer interface {
	// receive takes a response header and reads its body, if it has one,
	// from r. Over means that this sequence number has ended. An error means
	// that the connection's position is lost.
	receive(h wire.ResponseHeader, r *wire.Reader) (over bool, err error)
	// fail tells that the connection has ended and nothing more comes.
	fail(cause error)
}

// request is an encoded request on its way to the connection. Its state says
// how far it came; whoever moves it away from queued decides.
type request struct {
	state atomic.Int32
	enc   *encoder
}

const (
	queued    = int32(iota)
	cancelled // the caller gave up before it was written; its buffer is unused
	written   // wholly or partly on the connection, or about to be
	unsent    // not wholly on the connection, and it never will be
)

// sent reports whether the agent may have got the request.
func (q *request) sent() bool { return q.state.Load() == written }

// cancel takes the request back, and reports false where it is too late.
func (q *request) cancel() bool { return q.state.CompareAndSwap(queued, cancelled) }

// encoder is a wire.Writer with the buffer behind it. A request owns one from
// its encoding until writeLoop has taken the bytes.
type encoder struct {
	buf bytes.Buffer
	w   *wire.Writer
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.w = wire.NewWriter(&e.buf)
	return e
}}

func (e *encoder) release() {
	const keep = 64 << 10
	if e.buf.Cap() > keep {
		return // one large payload shall not hold memory for ever
	}
	e.buf.Reset()
	encoders.Put(e)
}

// Sequence numbers of commands that answer with records are odd, the others
// even. So a record that was on its way when its stream was stopped is known
// as one, and its body skipped, with no memory of streams gone by.
func answersWithRecords(cmd wire.Command) bool {
	return cmd == wire.Stream || cmd == wire.Monitor || cmd == wire.Query
}

// register gives a its sequence number. It fails once the connection has ended.
func (c *Client) register(cmd wire.Command, a answer) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	seq := (c.last/2 + 1) * 2
	if answersWithRecords(cmd) {
		seq++
	}
	c.last = seq
	c.open[seq] = a
	return seq, nil
}

func (c *Client) forget(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, seq)
}

// lookup returns who waits for seq, or nil, and whether seq was ever given out.
func (c *Client) lookup(seq uint64) (a answer, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[seq], seq <= c.last
}

// writeLoop writes the queued requests, as many at once as there are.
func (c *Client) writeLoop() {
	const most = 64 << 10 // bytes in one write; a single request may be larger
	var batch []*request
	var ends []int // the offset in buf where each request of batch ends
	var buf []byte
	for {
		batch, ends, buf = batch[:0], ends[:0], buf[:0]
		if cap(buf) > 2*most {
			buf = nil
		}
		select {
		case <-c.ended:
			return
		case q := <-c.outbox:
			for q != nil {
				if q.state.CompareAndSwap(queued, written) {
					buf = append(buf, q.enc.buf.Bytes()...)
					batch, ends = append(batch, q), append(ends, len(buf))
				}
				q.enc.release()
				q = nil
				if len(buf) < most {
					select {
					case q = <-c.outbox:
					default:
					}
				}
			}
		}
		if len(batch) == 0 {
			continue
		}
		c.conn.SetWriteDeadline(time.Now().Add(c.cfg.Timeout)) // fails only where the write does too
		n, err := c.conn.Write(buf)
		if err == nil {
			continue
		}
		for i, q := range batch {
			// If the kernel did not take a request whole, the agent has not got
			// it whole. An agent does nothing on half a request.
			if n < ends[i] {
				q.state.Store(unsent)
			}
		}
		c.shut(fmt.Errorf("writing to the agent: %w", err))
		return
	}
}

// readLoop hands out what the agent sends until the connection ends.
func (c *Client) readLoop() {
	r := wire.NewReader(c.conn, c.cfg.Limits)
	for {
		if err := c.receive(r); err != nil {
			if errors.Is(err, io.EOF) {
				err = errConnClosed
			} else {
				err = fmt.Errorf("reading from the agent: %w", err)
			}
			c.shut(err)
			return
		}
	}
}

func (c *Client) receive(r *wire.Reader) error {
	var h wire.ResponseHeader
	if err := r.Read(&h); err != nil {
		return err
	}
	a, known := c.lookup(h.Seq)
	switch {
	case a != nil:
		over, err := a.receive(h, r)
		if over {
			c.forget(h.Seq)
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // a body was due
		}
		return err
	case known && h.Error == wire.ErrAuthRequired:
		// Stock agents take the body of an unauthenticated request for one
		// more request, and answer that too. No body follows.
		return nil
	case known && h.Seq%2 == 1 && h.Error == "":
		// A record of a stream that was stopped while it was on its way.
		if err := r.Read(nil); errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		} else {
			return err
		}
	}
	// Only the request tells whether a body follows, and this answer belongs to
	// none. To go on would be to guess.
	return fmt.Errorf("an answer to no request: Seq %d, Error %q", h.Seq, h.Error)
}

// finish fails all waiting calls, after both loops have returned. Only then is it
// certain which requests were written.
func (c *Client) finish() {
	c.mu.Lock()
	open, cause := c.open, c.err
	c.open = nil
	c.mu.Unlock()
	for _, a := range open {
		a.fail(cause)
	}
}
