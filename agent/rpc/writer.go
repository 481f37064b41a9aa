package rpc

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"agentctl/rpcclient/wire"
)

// encoder encodes values to bytes.
type encoder struct {
	buf bytes.Buffer
	w   *wire.Writer
}

var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.w = wire.NewWriter(&e.buf)
	return e
}}

// encode returns a value as it goes on the wire.
func encode(v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	e.buf.Reset()
	if err := e.w.Write(v, nil); err != nil {
		return nil, err // e holds half a value: not put back
	}
	b := bytes.Clone(e.buf.Bytes())
	if e.buf.Cap() <= batchBytes {
		encoders.Put(e)
	}
	return b, nil
}

// reply adds an encoded answer, once enough of the earlier ones are written.
// Only the connection's reader calls it.
func (o *outbox) reply(ctx context.Context, frame []byte) error {
	for {
		o.mu.Lock()
		if o.replyBytes < maxReplyBytes {
			o.replies = append(o.replies, frame)
			o.replyBytes += len(frame)
			o.mu.Unlock()
			poke(o.wake)
			return nil
		}
		o.mu.Unlock()
		select {
		case <-o.written:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// replyAtOnce writes an answer where nothing else is being written or may come to
// be: to a client that waits for each answer, the way by the writer's goroutine
// is longer than what it asks for. Only the connection's reader calls it.
func (o *outbox) replyAtOnce(conn net.Conn, timeout time.Duration, frame []byte) (done bool, err error) {
	o.mu.Lock()
	free := len(o.replies) == 0 && !o.busy && len(o.open) == 0
	o.mu.Unlock()
	if !free || len(frame) > batchBytes {
		return false, nil
	}
	// Only the reader adds answers and streams: nothing comes in between.
	conn.SetWriteDeadline(time.Now().Add(timeout))
	_, err = conn.Write(frame)
	return err == nil, err
}

// flush waits until all answers are written. Only the reader calls it.
func (o *outbox) flush(ctx context.Context) error {
	for {
		o.mu.Lock()
		done := len(o.replies) == 0 && !o.writing
		o.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-o.written:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// finish lets write return once the answers are written.
func (o *outbox) finish() {
	o.mu.Lock()
	o.finished = true
	o.mu.Unlock()
	poke(o.wake)
}

// write writes to conn what comes in, until finish or an error. After each
// batch it calls wrote.
func (o *outbox) write(conn net.Conn, timeout time.Duration, wrote func()) error {
	var buf []byte
	for {
		var finished bool
		buf, finished = o.take(buf[:0])
		if len(buf) == 0 {
			if finished {
				return nil
			}
			<-o.wake
			continue
		}
		for part := range slices.Chunk(buf, batchBytes) {
			conn.SetWriteDeadline(time.Now().Add(timeout))
			if _, err := conn.Write(part); err != nil {
				return err
			}
		}
		o.mu.Lock()
		o.writing, o.busy = false, false
		o.mu.Unlock()
		poke(o.written)
		wrote()
		if cap(buf) > 2*batchBytes {
			buf = nil // one large answer shall not hold memory for ever
		}
	}
}

// take appends the next batch to buf: all answers, and then as many records as
// fit, each stream in its turn. With nothing to take it tells whether that is
// the end.
func (o *outbox) take(buf []byte) (_ []byte, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { o.busy = len(buf) > 0 }()
	for _, frame := range o.replies {
		buf = append(buf, frame...)
	}
	o.writing = len(o.replies) > 0
	clear(o.replies)
	o.replies, o.replyBytes = o.replies[:0], 0
	if cap(o.replies) > keepReplies {
		o.replies = nil // many small answers shall not hold memory for ever
	}
	if o.finished {
		return buf, true
	}
	for idle := 0; idle < len(o.turns) && len(buf) < batchBytes; {
		q := o.turns[0]
		n := len(buf)
		buf = q.pop(buf)
		if len(buf) == n {
			idle++
		} else {
			idle = 0
		}
		if q.ending && len(q.bodies) == 0 {
			o.discard(q)
			idle = 0
			continue
		}
		o.turns = append(slices.Delete(o.turns, 0, 1), q)
	}
	return buf, false
}

// pop appends records of q to buf, up to a turn's worth.
func (q *queue) pop(buf []byte) []byte {
	if len(q.bodies) == 0 && q.lost > 0 {
		q.tell() // nothing has come since: do not leave the loss untold
	}
	n, size := 0, 0
	for n < len(q.bodies) && size < turnBytes {
		buf = append(append(buf, q.head...), q.bodies[n]...)
		size += len(q.bodies[n]) + frameOverhead
		n++
	}
	if n > 0 {
		clear(q.bodies[:n])
		if q.bodies = q.bodies[n:]; len(q.bodies) == 0 {
			q.bodies = nil
		}
		q.size -= size
		q.out.count(-size)
		poke(q.room)
	}
	return buf
}
