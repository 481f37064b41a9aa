package rpcclient

import (
	"context"

	"agentctl/rpcclient/wire"
)

// nothing is the response type of commands that answer with a header alone.
type nothing struct{}

// call is a request that has one answer.
type call[Resp any] struct {
	request
	c    *Client
	cmd  wire.Command
	seq  uint64
	resp Resp                // the caller's once done has delivered
	head wire.ResponseHeader // likewise
	done chan error          // gets one value, and never makes its sender wait
}

func newCall[Resp any](c *Client, cmd wire.Command) *call[Resp] {
	return &call[Resp]{c: c, cmd: cmd, done: make(chan error, 1)}
}

// roundTrip sends a request and waits for the answer. The response is given
// also with a [*RemoteError], for the commands that have both.
func roundTrip[Resp any](ctx context.Context, c *Client, cmd wire.Command, body any) (Resp, error) {
	k := newCall[Resp](c, cmd)
	if err := c.send(ctx, k, body); err != nil {
		return k.resp, err
	}
	return k.wait(ctx)
}

// simple is roundTrip for commands without a response body.
func simple(ctx context.Context, c *Client, cmd wire.Command, body any) error {
	_, err := roundTrip[nothing](ctx, c, cmd, body)
	return err
}

// sender is what send needs of a call: itself as the answer, and its request.
type sender interface {
	answer
	command() wire.Command
	assign(seq uint64) *request
}

func (k *call[Resp]) command() wire.Command { return k.cmd }

func (k *call[Resp]) assign(seq uint64) *request {
	k.seq = seq
	return &k.request
}

// send registers s, encodes its request and hands it to writeLoop. An error
// means that nothing was sent and s is forgotten.
func (c *Client) send(ctx context.Context, s sender, body any) error {
	notSent := func(err error) error {
		return &CallError{Command: s.command(), Addr: c.cfg.Addr, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}
	seq, err := c.register(s.command(), s)
	if err != nil {
		return notSent(err)
	}
	q := s.assign(seq)
	q.enc = encoders.Get().(*encoder)
	// Encoded here and not in writeLoop, so that the caller may use its
	// payload again as soon as the call returns, answered or not.
	if err := q.enc.w.Write(wire.RequestHeader{Command: s.command(), Seq: seq}, body); err != nil {
		c.forget(seq)
		return notSent(err) // the buffer holds half a value: not released
	}
	select {
	case c.outbox <- q:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.ended:
		err = c.Err()
	}
	c.forget(seq)
	q.enc.release()
	return notSent(err)
}

// wait returns the answer.
func (k *call[Resp]) wait(ctx context.Context) (Resp, error) {
	select {
	case err := <-k.done:
		return k.resp, err
	case <-ctx.Done():
	}
	select {
	case err := <-k.done: // an answer that is there counts
		return k.resp, err
	default:
	}
	var none Resp // k.resp may be being written
	return none, k.giveUp(ctx.Err())
}

// published waits for the answer to an event.
func (k *call[Resp]) published(ctx context.Context) (wire.Published, error) {
	if _, err := k.wait(ctx); err != nil {
		return wire.Published{}, err
	}
	return wire.Published{Warning: k.head.Warning, ID: k.head.ID, HTTPAddr: k.head.HTTPAddr}, nil
}

// giveUp ends the wait for a reason of the caller's. Where the request is
// still queued it is taken back; else the answer is left to be read and thrown
// away.
func (k *call[Resp]) giveUp(cause error) error {
	taken := k.cancel()
	if taken {
		k.c.forget(k.seq)
	}
	return &CallError{Command: k.cmd, Addr: k.c.cfg.Addr, Sent: !taken, Err: cause}
}

func (k *call[Resp]) receive(h wire.ResponseHeader, r *wire.Reader) (bool, error) {
	if h.BodyFollows(k.cmd) {
		if err := r.Read(&k.resp); err != nil {
			return false, err // fail will come
		}
	}
	k.head = h
	k.done <- remote(h)
	return true, nil
}

func (k *call[Resp]) fail(cause error) {
	k.done <- &CallError{Command: k.cmd, Addr: k.c.cfg.Addr, Sent: k.sent(), Err: cause}
}

func remote(h wire.ResponseHeader) error {
	if h.Error == "" {
		return nil
	}
	return &RemoteError{Text: h.Error}
}
