package link

import (
	"context"
	"errors"
	"fmt"

	"agentctl/handler/varint"
)

// Request asks a peer over the link to it, and returns the answer of the peer's
// handler. It opens a link if there is none. It takes up to ten seconds, or less
// if ctx ends. A peer is asked a few things at a time; further requests wait.
//
// The error wraps [ErrUnknownKind] if the peer has no handler for the request.
// If a link broke, nobody knows whether the handler ran.
func (l *Links) Request(ctx context.Context, to Peer, kind Kind, req []byte) ([]byte, error) {
	if len(req) > l.cfg.maxRequest {
		return nil, fmt.Errorf("%w: a request of %d bytes, where %d are allowed", errTooLong, len(req), l.cfg.maxRequest)
	}
	var resp []byte
	err := l.use(ctx, to, func(ctx context.Context, p *peer) (err error) {
		resp, err = p.ask(ctx, kind, req)
		return err
	})
	return resp, err
}

// IsPeer tells whether a node speaks this protocol, and opens a link to it if there is
// none. It takes up to ten seconds, or less if ctx ends. A stock agent logs a line about
// it. After an error nobody knows: the node was not reached, it refused, or another
// node is there.
func (l *Links) IsPeer(ctx context.Context, to Peer) (bool, error) {
	err := l.use(ctx, to, func(ctx context.Context, p *peer) error {
		_, _, err := p.connect(ctx)
		return err
	})
	if _, ok := errors.AsType[*notPeerError](err); ok {
		return false, nil
	}
	return err == nil, err
}

// use calls do with the entry of a peer, which is kept until do returns. The context of
// do ends with ctx, after ten seconds, and when the peer is forgotten.
func (l *Links) use(ctx context.Context, to Peer, do func(context.Context, *peer) error) error {
	ctx, cancelTime := context.WithTimeout(ctx, l.cfg.requestTimeout)
	defer cancelTime()
	l.mu.Lock()
	if !l.running {
		l.mu.Unlock()
		return errNotRunning
	}
	p := l.peerLocked(to)
	p.mu.Lock()
	p.users++
	p.mu.Unlock()
	l.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.users--
		p.mu.Unlock()
	}()

	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) })()
	err := do(within, p)
	switch {
	case err == nil:
	case p.ctx.Err() != nil && l.ctx.Err() != nil:
		err = errNotRunning
	case p.ctx.Err() != nil:
		err = errForgotten
	case ctx.Err() != nil:
		err = fmt.Errorf("link: asking %q: %w", p.name, context.Cause(ctx))
	}
	return err
}

func (p *peer) ask(ctx context.Context, kind Kind, req []byte) ([]byte, error) {
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	lk, _, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	l := p.links
	st, err := lk.openStream(ctx, varint.AppendBytes(appendKind(nil, kind), req), answerBuffer, l.freed(lk))
	if err != nil {
		return nil, err
	}
	defer l.whileRunning(func() { // the peer ends it with its answer, which may be late
		if !st.drain(l.cfg.requestTimeout + l.cfg.streamTimeout) {
			lk.close()
		}
	})
	defer st.Close()
	resp, err := st.readReply(l.cfg.maxResponse)
	lk.touch()
	return resp, err
}

// freed returns what is told of bytes that a link holds no more for streams of this side.
func (l *Links) freed(lk *link) func(int64) {
	return func(n int64) { l.opened.release(lk, n) }
}
