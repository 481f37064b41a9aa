package link

import (
	"log/slog"
	"net"
	"time"
)

// idleInterval is how often Run looks after the links that nothing goes over.
const idleInterval = 10 * time.Second

// tendIdle frees what links took that are idle now, and finds those whose other side is
// gone without a word. The opener of a link asks the other side. The acceptor only hears.
func (l *Links) tendIdle() {
	var silent, mute []*link
	l.mu.Lock()
	for _, lk := range l.openLinksLocked() {
		lk.shrink()
		switch quiet := time.Since(time.Unix(0, lk.heard.Load())); {
		case lk.opened && quiet >= l.cfg.pingAfter:
			silent = append(silent, lk)
		case !lk.opened && quiet >= 2*l.cfg.pingAfter+idleInterval+pingTimeout:
			mute = append(mute, lk)
		}
	}
	l.mu.Unlock()
	l.offerAll("") // a member may have been unknown when its link came
	for _, lk := range silent {
		l.whileRunning(lk.ping)
	}
	for _, lk := range mute {
		l.metrics.closed.WithLabelValues(closeSilent).Inc()
		l.sampled.Log(slog.LevelInfo, "link: closed, its side has been silent for too long", time.Second,
			"peer", lk.peer.Name, "from", lk.host)
		l.whileRunning(lk.close)
	}
}

// ping asks the other side for a sign of life, and closes the link where none comes.
func (lk *link) ping() {
	if !lk.pinging.CompareAndSwap(false, true) {
		return
	}
	defer lk.pinging.Store(false)
	if _, err := lk.session.Ping(); err != nil {
		lk.close()
	}
}

// shrink has a stream of events that is idle give back the buffer that a burst made.
func (lk *link) shrink() {
	if st := lk.events.Load(); st != nil && lk.unusedFor() >= idleInterval {
		st.Shrink()
	}
}

// withoutProbes turns off the probes of TCP, which come every 15 s on a connection that Go
// opened: more packets than gossip has at rest, if a node keeps many links.
func withoutProbes(conn net.Conn) net.Conn {
	if c, ok := conn.(interface{ SetKeepAlive(bool) error }); ok {
		c.SetKeepAlive(false) // an error costs those packets
	}
	return conn
}
