package link

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// kindTimeout is for a stream that was opened to say what it is for.
const kindTimeout = 10 * time.Second

// serve answers one stranger's handshake, and then its link until that ends.
func (l *Links) serve(ctx context.Context, s stranger) {
	stop := context.AfterFunc(ctx, func() { s.Conn.Close() })
	g, err := l.party.accept(s.Conn, l.keyring())
	s.leave()
	stop()
	if err != nil || ctx.Err() != nil {
		s.Conn.Close()
		if ctx.Err() == nil {
			l.reject(rejectReason(err), s.Conn, err)
		}
		return
	}
	lk := newLink(g, false, l.cfg.streamTimeout)
	defer lk.close()
	l.register(lk)
	defer l.unregister(lk)
	l.cfg.Logger.Debug("link: accepted", "peer", lk.peer.Name, "addr", lk.peer.Addr, "version", lk.peer.version)
	if l.cfg.Accepted != nil {
		l.cfg.Accepted(lk.peer.Name)
	}
	l.acceptStreams(ctx, lk)
}

// register counts an accepted link, and closes the least used one if that is
// one too many.
func (l *Links) register(lk *link) {
	var extra *link
	l.mu.Lock()
	if len(l.accepted) >= l.cfg.maxLinks {
		extra = slices.MinFunc(slices.Collect(maps.Keys(l.accepted)), leastUsed)
		delete(l.accepted, extra)
	}
	l.accepted[lk] = struct{}{}
	l.mu.Unlock()
	if extra != nil {
		l.sampled.Log(slog.LevelInfo, "link: closed for a newer one, there are too many", time.Minute,
			"peer", extra.peer.Name)
		extra.close()
	}
}

func (l *Links) unregister(lk *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.accepted, lk)
}

// acceptStreams serves the streams of a link until it ends.
func (l *Links) acceptStreams(ctx context.Context, lk *link) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer lk.close() // so that the streams end
	slots := make(chan struct{}, linkStreams)
	var events atomic.Bool // there is a stream of events
	for {
		s, err := lk.session.AcceptStreamWithContext(ctx)
		if err != nil {
			return
		}
		st := newStream(ctx, s, receiveBuffer)
		select {
		case slots <- struct{}{}:
		default:
			st.writeReply(statusBusy, nil) // an error ends the link, and so the loop
			st.Close()
			continue
		}
		running.Go(func() {
			defer func() { <-slots }()
			defer st.Close()
			l.serveStream(ctx, lk, st, &events)
		})
	}
}

// serveStream reads what a stream is for, and does that.
func (l *Links) serveStream(ctx context.Context, lk *link, st *stream, events *atomic.Bool) {
	st.SetReadDeadline(time.Now().Add(kindTimeout))
	kind, err := binary.ReadUvarint(st.r)
	if err != nil {
		return
	}
	lk.touch()
	handler := l.cfg.Handlers[Kind(kind)]
	switch {
	case Kind(kind) == kindEvents:
		if !events.CompareAndSwap(false, true) {
			st.writeReply(statusBusy, nil)
			return
		}
		defer events.Store(false)
		if err := l.receive(ctx, lk, st); err != nil && ctx.Err() == nil && lk.alive() {
			l.sampled.Log(slog.LevelWarn, "link: closed, its stream of events is broken", time.Second,
				"peer", lk.peer.Name, "error", err)
			lk.close()
		}
	case handler == nil:
		l.metrics.requests.WithLabelValues("unknown_kind").Inc()
		st.writeReply(statusUnknownKind, nil)
	default:
		l.metrics.requests.WithLabelValues(l.answer(ctx, lk, st, handler)).Inc()
	}
}

// answer reads one request, has it handled, and sends what comes of it.
func (l *Links) answer(ctx context.Context, lk *link, st *stream, handle Handler) (result string) {
	select {
	case l.handling <- struct{}{}:
		defer func() { <-l.handling }()
	default:
		st.writeReply(statusBusy, nil)
		return "busy"
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.requestTimeout)
	defer cancel()
	st.SetDeadline(time.Now().Add(2 * l.cfg.requestTimeout)) // also for a slow reader of the answer
	req, err := readBytes(st.r, l.cfg.maxRequest)
	if errors.Is(err, errTooLong) {
		st.writeReply(statusTooLong, nil)
		return "too_long"
	}
	if err != nil {
		return "gone"
	}
	resp, err := handle(ctx, lk.peer, req)
	if err == nil && len(resp) > l.cfg.maxResponse {
		err = errors.New("the answer is longer than the limit")
	}
	if err != nil {
		text := err.Error()
		st.writeReply(statusFailed, []byte(text[:min(len(text), maxErrorText)]))
		return "failed"
	}
	lk.touch()
	if st.writeReply(statusOK, resp) != nil {
		return "gone"
	}
	return "ok"
}
