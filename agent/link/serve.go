package link

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
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
	lk := newLink(g, false, l.admit)
	defer lk.close()
	l.register(lk)
	defer l.unregister(lk)
	l.offer(lk)
	l.cfg.Logger.Debug("link: accepted", "peer", lk.peer.Name, "addr", lk.peer.Addr, "version", lk.peer.version)
	if l.cfg.Accepted != nil {
		l.cfg.Accepted(lk.peer.Name)
	}
	l.acceptStreams(ctx, lk)
	l.ended(lk)
}

// ended counts and logs a link that was closed since something damaged came.
func (l *Links) ended(lk *link) {
	if lk.damaged.Load() {
		l.metrics.closed.WithLabelValues(closeDamaged).Inc()
		l.sampled.Log(slog.LevelWarn, "link: closed, what came was damaged on the way", time.Second,
			"peer", lk.peer.Name, "from", lk.host)
	}
}

// admit counts what a link holds from now on. Where it is one link too many, it closes
// another one.
func (l *Links) admit(lk *link) func(bool, int64) error {
	if extra := l.budget.enter(lk, l.cfg.maxLinks); extra != nil {
		l.metrics.closed.WithLabelValues(closeCount).Inc()
		l.sampled.Log(slog.LevelInfo, "link: closed for a newer one, there are too many", time.Minute,
			"peer", extra.peer.Name, "from", extra.host)
		extra.conn.Close() // its session ends by that
	}
	return l.count(lk)
}

// tooManyStreams counts, logs and closes a link with too many streams, or with one that
// the other side does not close.
func (l *Links) tooManyStreams(lk *link) {
	if !lk.alive() {
		return
	}
	l.metrics.closed.WithLabelValues(closeStreams).Inc()
	l.sampled.Log(slog.LevelWarn, "link: closed, its side has too many streams, or does not close them", time.Second,
		"peer", lk.peer.Name, "from", lk.host)
	lk.close()
}

// tooHeavy counts and logs a link that is closed because it holds too much.
func (l *Links) tooHeavy(lk *link) {
	l.metrics.closed.WithLabelValues(closeMemory).Inc()
	l.sampled.Log(slog.LevelWarn, "link: closed, its side has sent more than it may before it is taken", time.Second,
		"peer", lk.peer.Name, "from", lk.host)
}

func (l *Links) register(lk *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[lk] = struct{}{}
}

func (l *Links) unregister(lk *link) {
	l.uncount(lk)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.accepted, lk)
}

// acceptStreams serves the streams of a link until it ends.
func (l *Links) acceptStreams(ctx context.Context, lk *link) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()   // so that what is handled ends
	defer lk.close() // so that the streams end
	slots := make(chan struct{}, linkStreams)
	var events atomic.Bool // there is a stream of events
	for {
		s, err := lk.session.AcceptStreamWithContext(ctx)
		if err != nil {
			return
		}
		if lk.session.NumStreams() > sessionStreams {
			l.tooManyStreams(lk)
			return
		}
		if l.budget.hold(lk, streamCost) != nil {
			return
		}
		running.Go(func() {
			st := newStream(ctx, s, receiveBuffers.Get().(*bufio.Reader), func(n int64) { l.budget.release(lk, n) })
			defer st.giveBack()
			select {
			case slots <- struct{}{}:
				l.serveStream(ctx, lk, st, &events)
				st.Close()
				<-slots
			default:
				st.writeReply(statusBusy, nil)
				st.Close()
			}
			if !st.drain(l.cfg.streamTimeout) {
				l.tooManyStreams(lk)
			}
			l.budget.release(lk, streamCost)
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
	case lk.eventsKind() == Kind(kind):
		if !events.CompareAndSwap(false, true) {
			st.writeReply(statusBusy, nil)
			return
		}
		defer events.Store(false)
		id, err := l.senderOf(lk, st)
		if err == nil {
			err = l.receive(ctx, lk, st, id)
		}
		if err != nil && ctx.Err() == nil && lk.alive() {
			l.metrics.closed.WithLabelValues(closeBroken).Inc()
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

// eventsKind is the kind of the streams of events that come on a link, or 0.
func (lk *link) eventsKind() Kind {
	switch {
	case !lk.opened:
		return kindEvents
	case lk.both:
		return kindEventsBack
	}
	return 0
}

// senderOf returns the ID of who sends events on a stream: that of the hello, or the one at
// the head of the stream. A link with another one than before takes up no more room by it.
func (l *Links) senderOf(lk *link, st *stream) (id senderID, err error) {
	if !lk.opened {
		return lk.peer.sender, nil
	}
	if _, err := io.ReadFull(st.r, id[:]); err != nil {
		return id, noEOF(err)
	}
	if id != lk.back {
		l.sources.forget(lk.sourceKey(lk.back))
		lk.back = id
	}
	return id, nil
}

// answer reads one request, has it handled, and sends what comes of it.
func (l *Links) answer(ctx context.Context, lk *link, st *stream, handle Handler) (result string) {
	if !l.budget.begin(lk, l.cfg.maxRequests) {
		st.writeReply(statusBusy, nil)
		return "busy"
	}
	defer l.budget.end(lk)
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
	if size := int64(len(resp)); l.budget.mayHold(lk, size) {
		defer l.budget.release(lk, size)
	} else {
		st.writeReply(statusBusy, nil)
		return "busy"
	}
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
