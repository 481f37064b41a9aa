package link

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// magic is the first byte of a stream that is a link. A stream of memberlist
// v0.7.0 begins with a message type: 0 (ping), 6 (push/pull), 8 (user), 9
// (compressed), 10 (encrypted), at most 13; or with 244, a label. Its list of
// types is append-only, and far from here. Nor is it the start of HTTP or TLS.
const magic = 0xA7

// sniffLimit is how many streams' first bytes are awaited at a time, in all
// and from one host. Streams above that go to memberlist unseen: whoever opens
// silent streams can keep links away, but not gossip.
const sniffLimit, sniffPerHost = 1024, 128

// refusalTimeout is for writing a few bytes that fit in any socket's buffer.
const refusalTimeout = 100 * time.Millisecond

// Transport is a memberlist transport that takes the links out of the streams
// of another one, and passes on everything else untouched. Its methods are safe
// for concurrent use. It works from New to Shutdown, also while Run does not,
// and then refuses links.
type Transport struct {
	memberlist.NodeAwareTransport
	streams   chan net.Conn
	strangers chan stranger // links to be, for Run
	sniffing  *gate
	unproved  *gate
	timeout   time.Duration // for the first byte
	reject    func(reason string, conn net.Conn, err error)
	busy      []byte // what to refuse with

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// stranger is a stream whose first byte was magic, and has been read.
type stranger struct {
	net.Conn
	leave func() // to be called once the peer has proved itself, or failed to
}

func (t *Transport) start() {
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.wg.Go(func() {
		for {
			select {
			case conn := <-t.NodeAwareTransport.StreamCh():
				t.take(conn)
			case <-t.ctx.Done():
				return
			}
		}
	})
}

// take looks at a stream's first byte without making the next stream wait.
func (t *Transport) take(conn net.Conn) {
	leave := t.sniffing.enter(conn)
	if leave == nil {
		t.reject(rejectUnseen, conn, errors.New("too many streams have sent nothing yet; memberlist gets this one unseen"))
		t.pass(conn)
		return
	}
	t.wg.Go(func() {
		stop := context.AfterFunc(t.ctx, func() { conn.Close() })
		first := make([]byte, 1)
		conn.SetReadDeadline(time.Now().Add(t.timeout))
		n, _ := conn.Read(first) // whatever the error, memberlist sees it again
		leave()
		stop()
		if n == 1 && first[0] == magic {
			t.handOver(conn)
			return
		}
		conn.SetReadDeadline(time.Time{})
		t.pass(&peeked{Conn: conn, unread: first[:n]})
	})
}

// pass gives a stream to memberlist.
func (t *Transport) pass(conn net.Conn) {
	select {
	case t.streams <- conn:
	case <-t.ctx.Done():
		conn.Close()
	}
}

// handOver gives a link's stream to Run, or refuses it.
func (t *Transport) handOver(conn net.Conn) {
	leave := t.unproved.enter(conn)
	if leave == nil {
		t.reject(rejectStrangers, conn, errors.New("too many handshakes at a time"))
		t.refuse(conn)
		return
	}
	wait := time.NewTimer(t.timeout / 2) // the peer waits no longer than timeout
	defer wait.Stop()
	select {
	case t.strangers <- stranger{conn, leave}:
		return
	case <-wait.C:
		t.refuse(conn)
	case <-t.ctx.Done():
		conn.Close()
	}
	leave()
}

// refuse tells a peer to come back later. A stream closed without a word would
// make it think that no agent of its kind is here.
func (t *Transport) refuse(conn net.Conn) {
	conn.SetWriteDeadline(time.Now().Add(refusalTimeout))
	conn.Write(t.busy) // an error means that nobody is there to be told
	conn.Close()
}

// StreamCh returns the streams that are not links.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown ends the wrapped transport, and then all that goes on here but the
// links, which are Run's.
func (t *Transport) Shutdown() error {
	err := t.NodeAwareTransport.Shutdown() // its listeners may be waiting for us to take a stream
	t.cancel()
	t.wg.Wait()
	return err
}

// errNoIngest is for a wrapped transport that takes nothing but from its own
// sockets.
var errNoIngest = errors.New("link: the wrapped transport does not take in what came by other ways")

// IngestPacket passes a packet that came by another way to the wrapped
// transport, as memberlist's NetTransport takes it.
func (t *Transport) IngestPacket(conn net.Conn, addr net.Addr, now time.Time, shouldClose bool) error {
	in, ok := t.NodeAwareTransport.(interface {
		IngestPacket(net.Conn, net.Addr, time.Time, bool) error
	})
	if !ok {
		return errNoIngest
	}
	return in.IngestPacket(conn, addr, now, shouldClose)
}

// IngestStream passes a stream that came by another way to the wrapped
// transport. It may be a link.
func (t *Transport) IngestStream(conn net.Conn) error {
	in, ok := t.NodeAwareTransport.(interface{ IngestStream(net.Conn) error })
	if !ok {
		return errNoIngest
	}
	return in.IngestStream(conn)
}

// peeked is a stream of which some bytes have been read, and are read again.
type peeked struct {
	net.Conn
	unread []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.unread) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.unread)
	p.unread = p.unread[n:]
	return n, nil
}
