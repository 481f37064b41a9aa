package link

import (
	"errors"
	"log/slog"
	"slices"
	"time"
)

// Keep sets the peers whose links are kept. This node opens a link to each at once where
// there is none, or a second later if the peer is a member with a smaller name, which may
// open it itself. It does so again after the link broke, first after 50 to 100 ms and at
// most 5 s later. It closes none of them because it is idle, or to make room for another
// link. The link to a peer that is no longer in the set is closed once it is idle for about
// a minute. One that Forget took off is like any other until Keep names it again. Keep does not wait, and does nothing while the links do
// not run.
func (l *Links) Keep(peers []Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return
	}
	named := make(map[string]bool, len(peers))
	for _, to := range peers {
		named[to.Name] = true
		l.peerLocked(to).keep(true)
	}
	for name, p := range l.peers {
		if !named[name] {
			p.keep(false)
		}
	}
}

// Stuck returns the names of the peers, sorted, that have messages to acknowledge and have
// acknowledged none for this long.
func (l *Links) Stuck(age time.Duration) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, p := range l.peers {
		if p.stuckFor() >= age {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *peer) keep(kept bool) {
	p.mu.Lock()
	changed := p.kept != kept
	p.unkept = !kept && (p.kept || p.unkept)
	p.kept = kept
	p.mu.Unlock()
	if changed {
		p.rouse()
	}
}

// rouse has the peer's goroutine look at what there is to do.
func (p *peer) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *peer) isKept() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept
}

// wanted reports whether there is to be a link with a stream of events.
func (p *peer) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.Len() > 0 || p.kept && !time.Now().Before(p.notPeerUntil)
}

// stuckFor is how long the peer has acknowledged nothing of what waits, and negative where
// nothing does.
func (p *peer) stuckFor() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue.Len() == 0 {
		return -1
	}
	return time.Since(p.since)
}

// lost tells of a kept link that broke, or could not be opened.
func (p *peer) lost(err error) {
	if !p.isKept() {
		return
	}
	if !p.pending() { // else logFailure tells of it
		p.links.sampled.Log(slog.LevelInfo, "link: no kept link to a peer at the moment", time.Second, "peer", p.name, "error", err)
	}
	if p.links.cfg.Lost != nil {
		_, notPeer := errors.AsType[*notPeerError](err)
		p.links.cfg.Lost(p.name, notPeer)
	}
}
