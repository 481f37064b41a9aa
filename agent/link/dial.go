package link

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// connect returns the link to the peer, and the ID under which messages go over it. It
// opens a link where there is none. One caller at a time opens it, the others wait for that
// or for ctx.
func (p *peer) connect(ctx context.Context) (lk *link, id senderID, err error) {
	select {
	case p.dialing <- struct{}{}:
	case <-ctx.Done():
		return nil, id, context.Cause(ctx)
	}
	defer func() { <-p.dialing }()

	l := p.links
	if lk := p.current(); !lk.alive() || !lk.opened && !l.usable(lk) {
		l.offerAll(p.name)
	}
	p.mu.Lock()
	lk, id = p.link, p.id
	addr, until := p.addr, p.notPeerUntil
	p.mu.Unlock()
	if lk.alive() && (lk.opened || l.usable(lk)) {
		return lk, id, nil
	}
	if time.Now().Before(until) {
		return nil, id, &notPeerError{p.name, addr}
	}
	if err := l.makeRoom(p); err != nil {
		return nil, id, err
	}
	lk, err = p.dial(ctx, addr, id)
	p.links.metrics.dials.WithLabelValues(dialResult(err)).Inc()
	if err != nil {
		if _, ok := errors.AsType[*wrongNodeError](err); ok {
			p.renewID(id)
		}
		return nil, id, err
	}
	p.mu.Lock()
	stale, theirs := p.id != id || p.ctx.Err() != nil, p.link
	crossed := theirs.alive() && p.name < l.cfg.Name && l.usable(theirs)
	if !stale && !crossed {
		p.link, p.alone = lk, !lk.both
	}
	p.mu.Unlock()
	switch {
	case stale:
		lk.close()
		return nil, id, errors.New("link: the peer moved or was forgotten while a link to it was opened")
	case crossed:
		p.retireLink(lk)
		return theirs, id, nil
	}
	p.rouse() // a stream of events may go on over a link of the peer
	if l.cfg.Opened != nil {
		l.cfg.Opened(Peer{Name: p.name, Addr: addr, version: lk.peer.version, features: lk.peer.features})
	}
	l.cfg.Logger.Debug("link: opened", "peer", p.name, "addr", addr, "version", lk.peer.version)
	return lk, id, nil
}

// dial opens a link with one of the keys. A peer in the middle of a rotation
// may not have the primary one yet, or no longer.
func (p *peer) dial(ctx context.Context, addr string, id senderID) (*link, error) {
	keys := p.links.keyring()
	for i, key := range keys {
		lk, err := p.dialWith(ctx, addr, key, id)
		if r, ok := errors.AsType[*refusal](err); ok {
			if r.verdict == verdictWrongKey && i < len(keys)-1 {
				continue
			}
			return nil, &refusedError{p.name, addr, r.Error()}
		}
		if errors.Is(err, errNotPeer) {
			return nil, &notPeerError{p.name, addr}
		}
		return lk, err
	}
	return nil, errNoKeys // otherwise the last one's result was returned
}

func (p *peer) dialWith(ctx context.Context, addr string, key psk, id senderID) (*link, error) {
	l := p.links
	// By the wrapped transport, as memberlist itself reaches its members. It
	// knows no contexts, and so holds up the end of Run until its timeout.
	conn, err := l.cfg.Transport.DialAddressTimeout(memberlist.Address{Addr: addr, Name: p.name}, l.cfg.handshakeTimeout)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	g, err := l.party.open(conn, key, id)
	if err == nil && g.remote.name != p.name {
		err = &wrongNodeError{p.name, addr, g.remote.name}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	lk := newLink(g, true, l.count)
	if !lk.both {
		// Nothing here takes streams that the accepting side opens: refuse them
		// before they take memory.
		if err := lk.session.GoAway(); err != nil {
			lk.close()
			l.uncount(lk)
			return nil, err
		}
	}
	if !l.tend(lk) {
		lk.close()
		l.uncount(lk)
		return nil, errNotRunning
	}
	return lk, nil
}

// tend has a link that was opened here among the others until it ends, and reports
// whether Run goes on.
func (l *Links) tend(lk *link) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return false
	}
	l.dialed[lk] = struct{}{}
	l.wg.Go(func() {
		if lk.both {
			l.acceptStreams(l.ctx, lk)
		}
		<-lk.session.CloseChan()
		lk.close() // once it returns, nothing is read any more
		l.uncount(lk)
		l.mu.Lock()
		delete(l.dialed, lk)
		l.mu.Unlock()
		l.ended(lk)
	})
	return true
}

// keyring returns the keys of the moment, primary first.
func (l *Links) keyring() []psk {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys
}

// makeRoom closes links that were not used for longest, if with a link to p
// there would be too many. Links with something under way, or kept, are not closed. Who
// is opening a link counts as having it, so that of several who come here at
// once the last sees all others.
func (l *Links) makeRoom(p *peer) error {
	l.mu.Lock()
	n := 1 // p
	var idle []*link
	for _, other := range l.peers {
		lk, busy := other.state()
		if other == p || !busy && lk == nil {
			continue
		}
		n++
		if !busy {
			idle = append(idle, lk)
		}
	}
	l.mu.Unlock()
	extra := n - l.cfg.maxLinks
	if extra > len(idle) {
		return errTooManyLinks
	}
	slices.SortFunc(idle, leastUsed)
	for _, lk := range idle[:max(extra, 0)] {
		lk.close()
	}
	return nil
}

// state returns the link, if it was opened here and is alive, and whether it is busy: it
// is being opened, has something under way, or is kept.
func (p *peer) state() (lk *link, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link.alive() && p.link.opened {
		lk = p.link
	}
	return lk, len(p.dialing) > 0 || lk != nil && p.busyLocked()
}

func (p *peer) busyLocked() bool { return p.queue.Len() > 0 || p.users > 0 || p.kept }

// leastUsed orders links by when they were last used.
func leastUsed(a, b *link) int { return cmp.Compare(a.used.Load(), b.used.Load()) }

func dialResult(err error) string {
	if err == nil {
		return "ok"
	}
	if _, ok := errors.AsType[*notPeerError](err); ok {
		return "not_a_peer"
	}
	if _, ok := errors.AsType[*refusedError](err); ok {
		return "refused"
	}
	return "failed"
}

// logFailure says once a second at most that a link could not be opened, or
// broke.
func (p *peer) logFailure(err error) {
	level := slog.LevelWarn
	if _, ok := errors.AsType[*notPeerError](err); ok {
		level = slog.LevelInfo
	}
	p.links.sampled.Log(level, "link: cannot send to a peer", time.Second, "peer", p.name, "error", err)
}
