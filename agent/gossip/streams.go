package gossip

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
)

const (
	// streamFree is what each stream may bring beside the limits below: most full
	// syncs are smaller.
	streamFree = 1 << 20
	// hostMost is how many bytes all streams of one host may bring together, as long as
	// they are open, and streamsMost those of all hosts. Memberlist takes 40 MiB of one.
	hostMost    = 48 << 20
	streamsMost = 4 * hostMost
)

// streams counts what open streams of members have brought. Memberlist and serf hold it
// in memory until the stream is closed.
type streams struct {
	refused func(what string, err error)
	plain   func() bool // members do not encrypt, so memberlist takes what is compressed

	mu    sync.Mutex
	all   int
	hosts map[string]int
}

// guard bounds what a stream brings.
func (s *streams) guard(conn net.Conn) net.Conn {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		host = conn.RemoteAddr().String()
	}
	return &guarded{Conn: conn, streams: s, host: host}
}

// hold counts n more bytes of a host, if they may be.
func (s *streams) hold(host string, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all+n > streamsMost || s.hosts[host]+n > hostMost {
		return false
	}
	s.all += n
	if s.hosts[host] += n; s.hosts[host] == 0 {
		delete(s.hosts, host)
	}
	return true
}

// guarded is a stream of a member whose bytes are counted. It inflates what is
// compressed as it is read. One goroutine reads it.
type guarded struct {
	net.Conn
	streams *streams
	host    string
	in      io.Reader // nil before the first byte
	err     error     // a refusal: it stays
	read    int

	mu     sync.Mutex
	held   int
	closed bool
}

func (g *guarded) Read(p []byte) (n int, err error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.in == nil {
		if err := g.begin(); err != nil {
			return 0, err
		}
	}
	n, err = g.in.Read(p)
	if g.read += n; g.read > streamFree && !g.hold(min(n, g.read-streamFree)) {
		return 0, g.refuse(fmt.Errorf("%w: after %d bytes of this stream", errGrows, g.read))
	}
	return n, err
}

// begin looks at the first byte.
func (g *guarded) begin() error {
	first := make([]byte, 1)
	if n, err := g.Conn.Read(first); n == 0 {
		return err
	}
	if first[0] != compressType || !g.streams.plain() {
		g.in = io.MultiReader(bytes.NewReader(first), g.Conn)
		return nil
	}
	in, err := inflate(bufio.NewReader(g.Conn))
	if err != nil {
		return g.refuse(err)
	}
	g.in = in
	return nil
}

func (g *guarded) refuse(err error) error {
	g.err = err
	g.streams.refused("stream", err)
	return err
}

func (g *guarded) hold(n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || !g.streams.hold(g.host, n) {
		return false
	}
	g.held += n
	return true
}

func (g *guarded) Close() error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		g.streams.hold(g.host, -g.held)
	}
	g.mu.Unlock()
	return g.Conn.Close()
}
