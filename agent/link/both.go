package link

import "time"

// featureBothWays says that a node takes streams on links that it has opened. On a link
// between two such nodes both open streams, so that one connection is enough for them.
const featureBothWays = "both-ways"

// yieldTime is how long a node waits before it opens a kept link without messages to a
// peer of a smaller name, which is likely to open one itself.
const yieldTime = time.Second

// retireLook is how often a link that another one replaced is looked at.
const retireLook = 250 * time.Millisecond

// A link that the peer opened is used as if it was opened here if both sides can and it
// comes from the member that it names. Between two links to a peer, these rules choose, and
// need no word between the two sides:
//
//   - the link that the node of the smaller name opened is used by both, unless it was idle
//     for so long that the other node opened one;
//   - of links that the peer opened, the last one is used;
//   - the opener retires its link once it uses another one.

// isMember tells whether a member of this name has this host.
func (l *Links) isMember(name, host string) bool {
	return l.cfg.Member != nil && l.cfg.Member(name, host)
}

// count puts a link into the budgets of its streams. What it returns is told of all data
// that comes.
func (l *Links) count(lk *link) func(ours bool, n int64) error {
	if lk.opened || lk.both {
		l.opened.add(lk)
	}
	if lk.opened && lk.both {
		l.budget.add(lk)
	}
	return func(ours bool, n int64) error {
		if lk.both && ours || !lk.both && lk.opened {
			return l.opened.hold(lk, n)
		}
		return l.budget.hold(lk, n)
	}
}

// uncount is called once a link has ended.
func (l *Links) uncount(lk *link) {
	if lk.opened || lk.both {
		l.opened.leave(lk)
	}
	if !lk.opened || lk.both {
		l.budget.leave(lk)
	}
}

// usable tells whether this node may open streams on an accepted link. After Forget that
// is so once something has come on it.
func (l *Links) usable(lk *link) bool {
	return lk.both && lk.alive() && lk.heard.Load() > lk.forgotten.Load() && l.fresh(lk)
}

// fresh tells whether the acceptor of a link may rely on it. After some time without a
// message or a request its opener may be about to close it, unless the acceptor has a
// stream of events on it. Both sides see about the same.
func (l *Links) fresh(lk *link) bool {
	opener, acceptor := lk.events.Load() != nil, lk.sends.Load()
	if lk.opened {
		opener, acceptor = acceptor, opener
	}
	limit := l.cfg.askedTimeout
	if opener {
		limit = l.cfg.idleTimeout
	}
	return acceptor || lk.unusedFor() < limit-limit/8
}

// offer gives an accepted link to the entry of the peer, if it comes from that member.
func (l *Links) offer(lk *link) {
	l.mu.Lock()
	p := l.peers[lk.peer.Name]
	l.mu.Unlock()
	if p != nil && l.usable(lk) && l.isMember(lk.peer.Name, lk.host) {
		p.adopt(lk)
	}
}

// offerAll offers the accepted links that have a name, or any if it is empty.
func (l *Links) offerAll(name string) {
	var all []*link
	l.mu.Lock()
	for lk := range l.accepted {
		if name == "" || lk.peer.Name == name {
			all = append(all, lk)
		}
	}
	l.mu.Unlock()
	for _, lk := range all {
		l.offer(lk)
	}
}

// adopt uses an accepted link of the peer, where the rules choose it.
func (p *peer) adopt(lk *link) {
	l := p.links
	p.mu.Lock()
	old := p.link
	switch {
	case p.ctx.Err() != nil || lk == old || lk.host != hostOfAddr(p.addr) || lk.sends.Load(): // for a former entry
		old, lk = nil, nil
	case !old.alive():
		old = nil
	case old.opened && p.name > l.cfg.Name && l.fresh(old), !old.opened && !lk.begun.After(old.begun):
		old, lk = nil, nil
	}
	if lk == nil {
		p.mu.Unlock()
		return
	}
	p.link, p.notPeerUntil = lk, time.Time{}
	found := Peer{Name: p.name, Addr: p.addr, version: lk.peer.version, features: lk.peer.features}
	p.mu.Unlock()
	p.rouse() // also out of the old link's stream of events
	select {
	case p.linked <- struct{}{}:
	default:
	}
	if old != nil && old.opened {
		p.retireLink(old)
	}
	if l.cfg.Opened != nil {
		l.cfg.Opened(found)
	}
	l.cfg.Logger.Debug("link: used both ways", "peer", p.name, "from", lk.peer.Addr)
}

// retireLink closes a link that was opened here once its streams have ended, or their time
// is over. A peer has one such link at most.
func (p *peer) retireLink(lk *link) {
	p.mu.Lock()
	before := p.retired
	p.retired = lk
	p.mu.Unlock()
	l := p.links
	l.whileRunning(func() {
		defer lk.close()
		if before != lk {
			before.close()
		}
		look := time.NewTicker(retireLook)
		defer look.Stop()
		limit := time.After(2 * (l.cfg.requestTimeout + l.cfg.streamTimeout))
		for {
			select {
			case <-look.C:
				if lk.session.NumStreams() == 0 {
					return
				}
			case <-lk.session.CloseChan():
				return
			case <-limit:
				return
			}
		}
	})
}

// yields tells whether the peer may open the link itself, if it is given some time.
func (p *peer) yields() bool {
	p.mu.Lock()
	addr := p.addr
	yields := p.kept && p.queue.Len() == 0 && !p.link.alive() && !p.alone && p.name < p.links.cfg.Name
	p.mu.Unlock()
	return yields && p.links.isMember(p.name, hostOfAddr(addr))
}

// yield gives the peer its time.
func (p *peer) yield() {
	for until := time.Now().Add(yieldTime); p.ctx.Err() == nil && time.Now().Before(until) && p.yields(); {
		p.pause(time.Until(until), p.wake)
	}
}

// pause waits, but no longer than until the peer has opened a link, or wake.
func (p *peer) pause(d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-p.linked:
	case <-p.ctx.Done():
	}
}
