package link

// Linked are the nodes to which a link is open, in either direction. One that opened
// its link itself, and to which nothing was sent yet, has no address here: it may be
// reached at another than the link came from. Each has the features that it told.
func (l *Links) Linked() (all []Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := map[string]bool{}
	for name, p := range l.peers {
		if p.current().alive() {
			there[name], all = true, append(all, p.asPeer())
		}
	}
	for lk := range l.accepted {
		if name := lk.peer.Name; lk.alive() && !there[name] {
			there[name], all = true, append(all, Peer{Name: name, version: lk.peer.version, features: lk.peer.features})
		}
	}
	return all
}

// Open tells whether this node has a link open to a peer.
func (l *Links) Open(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[name]
	return p != nil && p.current().alive()
}
