package gossip

import (
	"cmp"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
)

const (
	// streamCost is what an open stream takes beside what it brings, in bytes: goroutine,
	// buffers and what inflates. Most streams bring less than that, so it is theirs too.
	streamCost = 32 << 10
	// streamsMost is for all open streams together, in bytes. The largest full sync that
	// serf makes of its events, 14 MiB, fits, also where it is encrypted and compressed.
	streamsMost = 48 << 20
)

// errCrowded ends a stream to make room for others.
var errCrowded = errors.New("its host holds the most, and all streams together hold more than their limit")

// streams counts what open streams hold: what came, what it is inflated to, and what
// memberlist makes room for because it was announced. Memberlist and serf hold that until
// they close the stream. Over the limit the host that holds most loses its heaviest
// stream, so one host cannot push out another.
type streams struct {
	refused func(what string, err error)
	keys    func() [][]byte // what members encrypt with; none if they do not
	// rotating is of who decrypts where there are several keys. That takes as much as the
	// message once more, and is not counted.
	rotating sync.Mutex

	mu     sync.Mutex
	freed  sync.Cond // of mu: a stream was closed
	all    int       // bytes, also of streams that end
	ending int       // bytes of streams that are to end, and are not closed yet
	hosts  map[string]*streamsOf
}

// streamsOf are the open streams of a host, but for those that are to end.
type streamsOf struct {
	held int
	open map[*guarded]struct{}
}

func newStreams(refused func(what string, err error), keys func() [][]byte) *streams {
	s := &streams{refused: refused, keys: keys, hosts: map[string]*streamsOf{}}
	s.freed.L = &s.mu
	return s
}

// guard bounds what a stream brings.
func (s *streams) guard(conn net.Conn) net.Conn {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		host = conn.RemoteAddr().String()
	}
	g := &guarded{Conn: conn, streams: s, host: host, room: streamCost}
	s.mu.Lock()
	if s.hosts[host] == nil {
		s.hosts[host] = &streamsOf{open: map[*guarded]struct{}{}}
	}
	s.hosts[host].open[g] = struct{}{}
	s.addLocked(g, streamCost)
	crowded := s.shrinkLocked()
	s.mu.Unlock()
	closeAll(crowded)
	return g
}

// hold counts n more bytes of a stream before they are in memory. It waits until those
// that had to make room are gone. The error says that this is one of them.
func (s *streams) hold(g *guarded, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.ended {
		s.addLocked(g, n)
		crowded := s.shrinkLocked()
		s.mu.Unlock()
		closeAll(crowded)
		s.mu.Lock()
	}
	for s.all > streamsMost && !g.ended {
		s.freed.Wait()
	}
	if g.ended {
		return errCrowded
	}
	return nil
}

// close forgets a stream.
func (s *streams) close(g *guarded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.closed {
		return
	}
	s.endLocked(g)
	g.closed = true
	s.all -= g.held
	s.ending -= g.held
	s.freed.Broadcast()
}

func (s *streams) addLocked(g *guarded, n int) {
	g.held += n
	s.all += n
	s.hosts[g.host].held += n
}

// shrinkLocked returns streams that are to be closed, until the others are within the limit.
func (s *streams) shrinkLocked() (crowded []net.Conn) {
	for s.all-s.ending > streamsMost {
		heaviest := slices.MaxFunc(slices.Collect(maps.Values(s.hosts)), func(a, b *streamsOf) int { return cmp.Compare(a.held, b.held) })
		g := slices.MaxFunc(slices.Collect(maps.Keys(heaviest.open)), func(a, b *guarded) int { return cmp.Compare(a.held, b.held) })
		s.endLocked(g)
		crowded = append(crowded, g.Conn)
	}
	return crowded
}

// endLocked does not count a stream as its host's any more.
func (s *streams) endLocked(g *guarded) {
	if g.ended {
		return
	}
	g.ended = true
	s.ending += g.held
	of := s.hosts[g.host]
	of.held -= g.held
	if delete(of.open, g); len(of.open) == 0 {
		delete(s.hosts, g.host)
	}
	s.freed.Broadcast() // it may wait itself
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		conn.Close() // whoever reads it closes it once more, and forgets it by that
	}
}
