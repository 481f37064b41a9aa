package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
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
	defer func() { p.current().close() }()
	for attempt := 0; p.ctx.Err() == nil; {
		if !p.wanted() {
			if !p.rest() {
				return
			}
			continue
		}
		from, begun := p.acknowledged(), time.Now()
		err := p.stream()
		switch {
		case p.ctx.Err() != nil:
			return
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
		backoff.Sleep(p.ctx, retryWait(attempt)) // the loop looks at the context
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
	case p.link.alive():
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

// stream sends the queue over the link until the link breaks, or has been idle
// for long and is closed. It leaves no goroutine behind.
func (p *peer) stream() error {
	lk, err := p.connect(p.ctx)
	if err != nil {
		return err
	}
	defer lk.close()
	head := binary.AppendUvarint(appendKind(nil, kindEvents), p.restart())
	st, err := lk.openStream(p.ctx, head, ackBuffer, p.links.freed(lk))
	if err != nil {
		return err
	}
	defer st.Close()
	acks := make(chan error, 1)
	go func() { acks <- p.readAcks(lk, st) }()
	err = p.writeRecords(lk, st, acks)
	lk.close() // so that readAcks ends, if it has not
	if err == errAcks {
		return <-acks
	}
	<-acks
	return err
}

// keptBuffer is how large a buffer of an idle link is, at most, in bytes: room for an event
// of the usual size.
const keptBuffer = 1 << 10

// errAcks stands for the error that ended the reading of acknowledgements.
var errAcks = errors.New("no more acknowledgements")

// writeRecords writes what is queued until an error, or the link has been idle.
func (p *peer) writeRecords(lk *link, st *stream, acks <-chan error) error {
	idle := time.NewTimer(p.links.cfg.idleTimeout)
	defer idle.Stop()
	var buf []byte
	for {
		var tooLong int
		if buf, tooLong = p.next(buf[:0], lk.maxMessage); tooLong > 0 {
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
		case <-lk.session.CloseChan():
			return errAcks
		case <-idle.C:
			left := p.links.cfg.idleTimeout - lk.unusedFor()
			if left <= 0 {
				if _, busy := p.state(); !busy {
					return nil
				}
				left = p.links.cfg.idleTimeout
			}
			idle.Reset(left)
		}
	}
}

// readAcks takes what the peer acknowledges off the queue until an error. It
// closes the link, since nothing sent later would be known to arrive.
func (p *peer) readAcks(lk *link, st *stream) error {
	defer lk.close()
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
