package link

import (
	"context"
	"fmt"

	"agentctl/handler/varint"
)

// Request asks a peer, over the link to it, which is opened where there is
// none, and returns its handler's answer. It takes up to RequestTimeout, or
// less if ctx ends. A peer is asked a few things at a time; more wait.
//
// An error may be a [NotPeerError], [RefusedError], [WrongNodeError] or
// [RemoteError], or wrap ErrNotRunning, ErrForgotten, ErrUnknownKind, ErrBusy or
// ErrTooLong. After others, such as a link that broke, it is not known whether
// the handler ran.
func (l *Links) Request(ctx context.Context, to Peer, kind Kind, req []byte) ([]byte, error) {
	if len(req) > l.cfg.MaxRequest {
		return nil, fmt.Errorf("%w: a request of %d bytes, where %d are allowed", ErrTooLong, len(req), l.cfg.MaxRequest)
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.RequestTimeout)
	defer cancel()
	l.mu.Lock()
	if !l.running {
		l.mu.Unlock()
		return nil, ErrNotRunning
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
		err = ErrNotRunning
	case p.ctx.Err() != nil:
		err = ErrForgotten
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
	resp, err := st.readReply(p.links.cfg.MaxResponse)
	lk.touch()
	return resp, err
}
