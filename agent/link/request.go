package link

import (
	"context"
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
	ctx, cancel := context.WithTimeout(ctx, l.cfg.requestTimeout)
	defer cancel()
	l.mu.Lock()
	if !l.running {
		l.mu.Unlock()
		return nil, errNotRunning
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

	resp, err := p.ask(ctx, kind, req)
	switch {
	case err == nil:
	case p.ctx.Err() != nil && l.ctx.Err() != nil:
		err = errNotRunning
	case p.ctx.Err() != nil:
		err = errForgotten
	case ctx.Err() != nil:
		err = fmt.Errorf("link: asking %q: %w", p.name, context.Cause(ctx))
	}
	return resp, err
}

func (p *peer) ask(ctx context.Context, kind Kind, req []byte) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) })()
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	lk, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	st, err := lk.openStream(ctx, varint.AppendBytes(appendKind(nil, kind), req))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	resp, err := st.readReply(p.links.cfg.maxResponse)
	lk.touch()
	return resp, err
}
