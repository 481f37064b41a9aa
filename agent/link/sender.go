package link

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"agentctl/handler/backoff"
)

// Waits between attempts to reach a peer, while there is something to send or its link is
// kept.
const minWait, maxWait = 50 * time.Millisecond, 5 * time.Second

// run serves the queue until the peer is idle for long, forgotten, or Run ends. A kept
// peer is not idle:
//
//	resting ──something to send──► sending ──link broke──► waiting ─► sending
//	   ▲  └──idle──► gone              │ idle, or no peer
//	   └───────────────────────────────┘
func (p *peer) run() {
	defer func() {
		if lk := p.current(); lk != nil && lk.opened { // else it is the peer's
			lk.close()
		}
	}()
	for attempt := 0; p.ctx.Err() == nil; {
		if !p.wanted() {
			if !p.rest() {
				return
			}
			continue
		}
		if p.yields() {
			if p.yield(); !p.wanted() {
				continue
			}
		}
		from, begun := p.acknowledged(), time.Now()
		err := p.stream()
		switch {
		case p.ctx.Err() != nil:
			return
		case err == errMoved:
			continue
		case err == nil || !p.wanted(): // idle; nothing is lost by a link that breaks then
			attempt = 0
			continue
		case p.acknowledged() > from, time.Since(begun) > maxWait: // it was open, and not only dialed
			attempt = 0
		}
		p.lost(err)
		if p.pending() {
			p.logFailure(err)
		}
		if _, ok := errors.AsType[*notPeerError](err); ok {
			p.giveUp()
			continue
		}
		attempt++
		p.pause(retryWait(attempt), nil) // the loop looks at the context
	}
}

// retryWait is a random time after an attempt, counted from 1. It is never below
// minWait, as a dial costs the peer a handshake.
func retryWait(attempt int) time.Duration {
	return backoff.Between(minWait, backoff.Backoff{Min: 2 * minWait, Max: maxWait}.Ceiling(attempt))
}

// rest waits for something to send. It reports false if the peer is gone.
func (p *peer) rest() bool {
	t := time.NewTimer(p.links.cfg.askedTimeout)
	defer t.Stop()
	for {
		select {
		case <-p.wake:
			return true
		case <-t.C:
			if p.wanted() {
				return true
			}
			again := p.retire()
			if again == 0 {
				return false
			}
			t.Reset(again)
		case <-p.ctx.Done():
			return false
		}
	}
}

// retire takes the peer off, or returns in how long to see to it again.
func (p *peer) retire() (again time.Duration) {
	l := p.links
	l.mu.Lock()
	defer l.mu.Unlock()
	p.mu.Lock()
	switch now := time.Now(); {
	case p.queue.Len() > 0 || p.dropped > 0 || p.users > 0:
		again = l.cfg.askedTimeout
	case p.kept && !now.Before(p.notPeerUntil): // since rest looked
		again = l.cfg.askedTimeout
	case now.Before(p.notPeerUntil):
		again = p.notPeerUntil.Sub(now)
	case p.link.alive() && p.link.opened && p.link.events.Load() != nil: // the peer uses it
		again = l.cfg.askedTimeout
	case p.link.alive() && p.link.opened:
		again = max(0, l.cfg.askedTimeout-p.link.unusedFor())
	}
	p.mu.Unlock()
	if again == 0 && l.peers[p.name] == p {
		l.removeLocked(p)
	}
	return again
}

// giveUp notes that the node is no peer, and drops what waits for it.
func (p *peer) giveUp() {
	p.mu.Lock()
	p.notPeerUntil = time.Now().Add(p.links.cfg.notPeerRetry)
	p.mu.Unlock()
	if n := p.clear(); n > 0 {
		p.drop(n, dropNotPeer)
	}
}

// stream sends the queue over the link until the link breaks, another one is used, or it
// has been idle for long. A link that was opened here is closed then, unless another one is
// used. It leaves no goroutine behind that reads acknowledgements.
func (p *peer) stream() error {
	lk, id, err := p.connect(p.ctx)
	if err != nil {
		return err
	}
	head := appendKind(nil, kindEvents)
	if !lk.opened {
		head = append(appendKind(nil, kindEventsBack), id[:]...)
	}
	head = binary.AppendUvarint(head, p.restart())
	if !lk.sends.CompareAndSwap(false, true) {
		return errors.New("the last stream of events on the link has not ended")
	}
	st, err := lk.openStream(p.ctx, head, ackBuffer, p.links.freed(lk))
	if err != nil {
		lk.close()
		return err
	}
	var parting atomic.Bool
	acks := make(chan error, 1)
	go func() { acks <- p.readAcks(lk, st, &parting) }()
	err = p.writeRecords(lk, st)
	if err == errMoved || err == errUnkept || !lk.opened && (err == nil || p.ctx.Err() != nil) {
		parting.Store(true)
		p.part(lk, st, acks)
		return err
	}
	st.Close()
	lk.close() // so that readAcks ends, if it has not
	if broken := <-acks; err == errAcks {
		return broken
	}
	return err
}

// part ends the stream of events on a link that others use further. What the peer has is
// acknowledged before it ends its side, and so is not sent again over another link.
func (p *peer) part(lk *link, st *stream, acks <-chan error) {
	st.Close()
	st.SetReadDeadline(time.Now().Add(partTime))
	<-acks
	l := p.links
	l.whileRunning(func() {
		if !st.drain(l.cfg.requestTimeout + l.cfg.streamTimeout) {
			lk.close()
		}
		lk.sends.Store(false)
	})
}

// keptBuffer is how large a buffer of an idle link is, at most, in bytes: room for an event
// of the usual size.
const keptBuffer = 1 << 10

// errAcks stands for the error that ended the reading of acknowledgements.
var errAcks = errors.New("no more acknowledgements")

// partTime is how long a stream of events waits for its last acknowledgements when it ends
// on a link that goes on.
const partTime = time.Second

// errMoved ends a stream of events since another link is used, and errUnkept one that was
// there for a link that is kept no more. That is a link for requests then.
var errMoved, errUnkept = errors.New("another link is used"), errors.New("the link is kept no more")

// writeRecords writes what is queued until an error, or the link has been idle.
func (p *peer) writeRecords(lk *link, st *stream) error {
	limit, unkept := p.idleLimit()
	idle := time.NewTimer(limit)
	defer idle.Stop()
	var buf []byte
	for {
		var tooLong int
		var err error
		if buf, tooLong, err = p.next(buf[:0], lk); err != nil {
			return err
		}
		if tooLong > 0 {
			p.drop(tooLong, dropTooLong)
		}
		if len(buf) > 0 {
			if _, err := st.Write(buf); err != nil {
				return err
			}
			lk.touch()
			continue
		}
		if cap(buf) > keptBuffer {
			buf = nil
		}
		select {
		case <-p.wake:
			if now, un := p.idleLimit(); un != unkept {
				limit, unkept = now, un
				idle.Reset(limit)
			}
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		case <-lk.session.CloseChan():
			return errAcks
		case <-idle.C:
			left := limit - lk.unusedFor()
			if left <= 0 {
				switch {
				case p.needs(lk):
					left = limit
				case unkept:
					return errUnkept
				default:
					return nil
				}
			}
			idle.Reset(left)
		}
	}
}

// idleLimit is for how long a stream of events may be idle. It is shorter for a link that
// was kept: the node that keeps others now may have many of these.
func (p *peer) idleLimit() (limit time.Duration, unkept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unkept {
		return p.links.cfg.askedTimeout, true
	}
	return p.links.cfg.idleTimeout, false
}

// needs tells whether an idle link is to stay: this node keeps it, or the peer uses it.
func (p *peer) needs(lk *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busyLocked() || lk.opened && lk.events.Load() != nil
}

// readAcks takes what the peer acknowledges off the queue until an error. It
// closes the link, since nothing sent later would be known to arrive, unless this node
// ends the stream.
func (p *peer) readAcks(lk *link, st *stream, parting *atomic.Bool) error {
	defer func() {
		if !parting.Load() && (lk.opened || p.ctx.Err() == nil) {
			lk.close()
		}
	}()
	if _, err := st.readReply(0); err != nil {
		return fmt.Errorf("opening the stream of events: %w", err)
	}
	for {
		st.settle()
		last, err := readNumber(st.r)
		if err != nil {
			return fmt.Errorf("waiting for acknowledgements: %w", err)
		}
		if !p.acknowledge(last) {
			return fmt.Errorf("%w: it acknowledges message %d, which was not sent", errProtocol, last)
		}
		lk.touch()
	}
}

func readNumber(r *bufio.Reader) (uint64, error) {
	n, err := binary.ReadUvarint(r)
	return n, noEOF(err)
}
