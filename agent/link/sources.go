package link

import (
	"sync"
	"time"
)

// sourcesLimit is how many senders are remembered. Those with an open
// stream are never forgotten; their number is bounded by that of the links.
const sourcesLimit = 1024

// sources remembers how far each sender has come, so that what is sent
// again after a link broke is not delivered again.
type sources struct {
	limit int
	mu    sync.Mutex
	known map[sourceKey]*source
}

// sourceKey is what a sender is known by. A node of another host is another one, whatever
// ID it has heard of, and so is one that keeps to other rules.
type sourceKey struct {
	id     senderID
	host   string
	strict bool
}

func (lk *link) sourceKey(id senderID) sourceKey {
	return sourceKey{id, lk.host, lk.peer.Has(featureOwnID)}
}

// source is one sender.
type source struct {
	// turn is held while messages are delivered: a stream that broke may still
	// have some when the next one begins. A channel, so that waiting for a slow
	// Deliver is visible to tests' clocks.
	turn chan struct{}
	had  uint64 // the last sequence number delivered; belongs to who has the turn
	// begun says that there is one; likewise.
	begun bool
	// acks is how far messages may be acknowledged. One that was delivered over a link that
	// broke, and came again, is still held.
	acks settling

	streams int       // open ones; guarded by sources.mu
	left    time.Time // when the last one ended; likewise
}

// open finds or makes the source of a stream, to be given back to close.
func (s *sources) open(id sourceKey) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.known[id]
	if src == nil {
		if s.known == nil {
			s.known = make(map[sourceKey]*source)
		}
		s.forgetOldest()
		src = &source{turn: make(chan struct{}, 1)}
		s.known[id] = src
	}
	src.streams++
	return src
}

func (s *sources) close(src *source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src.streams--
	src.left = time.Now()
}

// forget drops a sender that has no stream and will not come back.
func (s *sources) forget(id sourceKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.known[id]; src != nil && src.streams == 0 {
		delete(s.known, id)
	}
}

// forgetOldest makes room for one more, where it can.
func (s *sources) forgetOldest() {
	if len(s.known) < s.limit {
		return
	}
	var oldest *source
	var id sourceKey
	for i, src := range s.known {
		if src.streams == 0 && (oldest == nil || src.left.Before(oldest.left)) {
			oldest, id = src, i
		}
	}
	if oldest != nil {
		delete(s.known, id)
	}
}
