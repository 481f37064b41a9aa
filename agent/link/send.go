package link

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"agentctl/handler/backoff"
)

// behindInterval is the least time between two rounds of calls of Behind.
const behindInterval = 100 * time.Millisecond

// Broadcast is Send for a message in one part.
func (l *Links) Broadcast(to []Peer, msg []byte) error { return l.Send(to, msg) }

// Send queues a message for each of the peers, and never waits. The message is its parts,
// one after another, which it copies once for all peers. If it returns an error, no peer
// gets the message: the links do not run, or it is empty or longer than MaxMessage. If a
// peer's queue is full, the message to that peer is dropped, counted and reported to
// Behind.
func (l *Links) Send(to []Peer, parts ...[]byte) error { return l.send(to, true, parts) }

// Tell is Send for a message that is not worth waiting for: [Links.Waiting] does not count
// it. The peer may acknowledge it late, see [Soon].
func (l *Links) Tell(to []Peer, parts ...[]byte) error { return l.send(to, false, parts) }

func (l *Links) send(to []Peer, awaited bool, parts [][]byte) error {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size == 0 || size > l.cfg.MaxMessage {
		return fmt.Errorf("%w: a message of %d bytes, where 1 to %d are allowed", errTooLong, size, l.cfg.MaxMessage)
	}
	record := make([]byte, 0, binary.MaxVarintLen32+size)
	record = binary.AppendUvarint(record, uint64(size))
	for _, part := range parts {
		record = append(record, part...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		l.metrics.dropped.WithLabelValues(dropNotRunning).Add(float64(len(to)))
		return errNotRunning
	}
	for _, t := range to {
		l.peerLocked(t).push(record, awaited)
	}
	return nil
}

// Waiting is how many messages to all peers are not acknowledged yet. Of those that Tell
// sent, it counts only the ones with another message behind them.
func (l *Links) Waiting() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		n += p.waiting()
	}
	return n
}

// Forget drops what waits for a peer and closes the link to it, as when it has
// left the cluster, or has come back and may speak another protocol. What comes
// from it is not affected.
func (l *Links) Forget(name string) {
	l.mu.Lock()
	p := l.peers[name]
	if p != nil {
		l.removeLocked(p)
	}
	for lk := range l.accepted {
		if lk.peer.Name == name {
			lk.forgotten.Store(time.Now().UnixNano())
		}
	}
	l.mu.Unlock()
	if p != nil {
		l.metrics.dropped.WithLabelValues(dropForgotten).Add(float64(p.clear()))
	}
}

// peerLocked finds or makes the entry of a peer.
func (l *Links) peerLocked(to Peer) *peer {
	p := l.peers[to.Name]
	if p == nil {
		p = newPeer(l, to)
		l.peers[to.Name] = p
		l.wg.Go(p.run)
	}
	if stale := p.moveTo(to.Addr); stale != nil {
		l.wg.Go(stale.close)
	}
	return p
}

// removeLocked takes a peer off, and ends it.
func (l *Links) removeLocked(p *peer) {
	delete(l.peers, p.name)
	p.cancel(errForgotten)
}

// report makes sure that Behind is told of a peer's drops.
func (l *Links) report() {
	select {
	case l.behind <- struct{}{}:
	default:
	}
}

// reportBehind calls Behind for the peers whose messages were dropped.
func (l *Links) reportBehind(ctx context.Context) {
	for {
		select {
		case <-l.behind:
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		peers := make([]*peer, 0, len(l.peers))
		for _, p := range l.peers {
			peers = append(peers, p)
		}
		l.mu.Unlock()
		for _, p := range peers {
			if n, notPeer := p.takeDropped(); n > 0 {
				l.sampled.Log(slog.LevelWarn, "link: messages to a peer dropped", time.Second, "peer", p.name, "dropped", n)
				if l.cfg.Behind != nil {
					l.cfg.Behind(p.asPeer(), n, notPeer)
				}
			}
		}
		backoff.Sleep(ctx, behindInterval) // the loop looks at the context
	}
}
