package link

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"agentctl/handler/varint"
)

// linkStreams is how many streams of a link are served at a time, and linkWindow how many
// bytes of one wait for a slow reader. See budget for what a link may hold in all.
const (
	linkStreams = 16
	linkWindow  = 256 << 10
)

// pingTimeout is for a sign of life, and for a write that makes no progress.
const pingTimeout = 10 * time.Second

// linkRequests is how many requests wait on one link at a time: with the stream
// of events, and some that are closing, less than linkStreams.
const linkRequests = 8

// link is a connection after its handshake, split into streams. Streams are
// opened by the side that opened the link, or by both sides if both can.
type link struct {
	conn       net.Conn // of the session
	session    *yamux.Session
	opened     bool    // by this node
	both       bool    // both sides may open streams
	held       holding // for streams of the other side; guarded by Links.budget
	asked      holding // for streams of this side; guarded by Links.opened
	peer       Peer
	host       string // where its stream came from
	key        psk
	maxMessage int                    // that the peer takes
	used       atomic.Int64           // when something was last sent or received, in Unix nanoseconds
	heard      atomic.Int64           // when a byte came last, in Unix nanoseconds
	damaged    atomic.Bool            // what came does not have its checksum
	pinging    atomic.Bool            // the other side is being asked for a sign of life
	events     atomic.Pointer[stream] // on which events come, if any
	back       senderID               // of who sends events on a link that was opened here; owned by their stream
	sends      atomic.Bool            // this node has a stream of events on it, which may be ending
	forgotten  atomic.Int64           // when Forget named the peer last, in Unix nanoseconds
	begun      time.Time
}

// newLink puts a session on a connection. It owns the connection from now on. Before
// anything is read, hold is told of the link; what it returns is told of all data that
// comes, and whether it is for a stream of this side. Its error ends the link.
func newLink(g *greeted, opened bool, hold func(*link) func(ours bool, n int64) error) *link {
	g.SetDeadline(time.Time{})
	conf := &yamux.Config{
		AcceptBacklog:          linkStreams,
		EnableKeepAlive:        false,     // see tendIdle
		KeepAliveInterval:      time.Hour, // not used, and may not be 0
		ConnectionWriteTimeout: pingTimeout,
		MaxStreamWindowSize:    linkWindow,
		StreamOpenTimeout:      10 * time.Second,
		StreamCloseTimeout:     0,                          // its timers keep a link that has ended, with all it holds; see drain
		Logger:                 log.New(io.Discard, "", 0), // what matters comes back as errors
	}
	start := yamux.Server
	if opened {
		start = yamux.Client
	}
	lk := &link{
		conn: g.Conn, opened: opened, both: g.both, begun: time.Now(),
		peer: Peer{
			Name: g.remote.name, Addr: addrOf(g.Conn), sender: g.remote.sender,
			version: g.version, features: g.remote.features,
		},
		host:       hostOf(g.Conn),
		key:        g.key,
		maxMessage: g.remote.maxMessage,
	}
	lk.touch()
	lk.heard.Store(lk.used.Load())
	counts := hold(lk)
	var err error
	if lk.session, err = start(&frameConn{Conn: newMeter(g.Conn, opened, counts, lk.readDone)}, conf); err != nil {
		panic(err) // a configuration that is not valid
	}
	return lk
}

// readDone notes that something came, or why nothing more can be read. The session tells
// nobody.
func (lk *link) readDone(err error) {
	if err == nil {
		lk.heard.Store(time.Now().UnixNano())
	} else if errors.Is(err, errDamaged) {
		lk.damaged.Store(true)
	}
}

func (lk *link) touch() { lk.used.Store(time.Now().UnixNano()) }

func (lk *link) unusedFor() time.Duration {
	return time.Since(time.Unix(0, lk.used.Load()))
}

func (lk *link) alive() bool { return lk != nil && !lk.session.IsClosed() }

// close ends the link and all its streams. It may be called on nil, and again.
func (lk *link) close() {
	if lk != nil {
		// The session ends by that. From a call of its own Close on, all that wait for a
		// stream would spin until its reader has noticed.
		lk.conn.Close()
		<-lk.session.CloseChan()
	}
}

// Every stream begins with its kind, as a varint. The other side's first bytes
// are a status and a text or body with its length.
const (
	statusOK          = 0
	statusUnknownKind = 1
	statusBusy        = 2
	statusTooLong     = 3
	statusFailed      = 4 // with the handler's error
)

// answerBuffer and ackBuffer are how much of answers and of acknowledgements is read ahead.
const answerBuffer, ackBuffer = 4 << 10, 64

// writePiece is how much is written to a stream at once. Yamux keeps a buffer, up to twice
// as long as the longest, while a link is open. The piece and its frame's header fill
// one record.
const writePiece = checkedMost - frameHeader

// maxErrorText bounds the text of a handler's error, in bytes.
const maxErrorText = 1024

// openStream opens a stream and sends head, its kind and what else is known
// yet. The stream ends with ctx, and reads so much ahead. See newStream for release.
func (lk *link) openStream(ctx context.Context, head []byte, ahead int, release func(int64)) (*stream, error) {
	if lk.session.NumStreams() >= sessionStreams {
		lk.close() // its windows would take ever more memory
		return nil, errUnclosed
	}
	s, err := lk.session.OpenStream()
	if err != nil {
		return nil, err
	}
	st := newStream(ctx, s, bufio.NewReaderSize(nil, ahead), release)
	if _, err := s.Write(head); err != nil {
		st.Close()
		return nil, err
	}
	lk.touch()
	return st, nil
}

// stream is one stream of a link, which ends with a context.
type stream struct {
	*yamux.Stream
	r       *bufio.Reader
	stop    func() bool
	release func(int64) // told of bytes that are held no more
	taken   int64       // bytes that were read and count still

	awaited [1]byte // the byte that await read
	ahead   bool    // it is there, and not in r
}

func newStream(ctx context.Context, s *yamux.Stream, r *bufio.Reader, release func(int64)) *stream {
	st := &stream{Stream: s, r: r, release: release}
	r.Reset(st)
	st.stop = context.AfterFunc(ctx, func() { s.SetDeadline(time.Unix(1, 0)) })
	return st
}

func (s *stream) Close() error {
	s.stop()
	return s.Stream.Close()
}

func (s *stream) Read(b []byte) (int, error) {
	n := 0
	if s.ahead {
		s.ahead = false
		b[0] = s.awaited[0]
		if n = 1; b[0] == 0 || len(b) == 1 {
			return 1, nil
		}
	}
	m, err := s.Stream.Read(b[n:])
	s.taken += int64(m)
	return n + m, err
}

// await waits for the next message, which begins with its length, and has no read buffer
// meanwhile. What waited for is in the reader that it returns. If a message is not empty,
// more of it comes than its first byte, and a Read may wait for that.
func (s *stream) await() (*bufio.Reader, error) {
	if s.r.Buffered() > 0 {
		return s.r, nil
	}
	s.giveBack()
	_, err := io.ReadFull(s.Stream, s.awaited[:])
	s.r = receiveBuffers.Get().(*bufio.Reader)
	s.r.Reset(s)
	if err == nil {
		s.ahead = true
		s.taken++
	}
	return s.r, err
}

// giveBack ends the use of a buffer of receiveBuffers.
func (s *stream) giveBack() {
	s.r.Reset(nil)
	receiveBuffers.Put(s.r)
	s.r = nil
}

// Write writes b in pieces.
func (s *stream) Write(b []byte) (written int, err error) {
	for {
		n, err := s.Stream.Write(b[:min(len(b), writePiece)])
		written += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return written, err
		}
	}
}

// settle says that what was read is held no more, but for what waits in the buffer.
func (s *stream) settle() {
	if n := s.taken - int64(s.r.Buffered()); n > 0 {
		s.release(n * dataCost)
		s.taken -= n
	}
}

// drain reads what still comes on a stream that was closed here, until the other side
// closes it too, the link ends or the time is over. Else it would stay in its window. It
// reports whether the other side closed it.
func (s *stream) drain(limit time.Duration) bool {
	until := time.Now().Add(limit)
	s.r.Discard(s.r.Buffered())
	for {
		s.SetReadDeadline(until) // each time: its context may end now, too
		s.settle()
		s.Shrink()
		_, err := s.r.Peek(1)
		s.r.Discard(s.r.Buffered())
		if timeout := errors.Is(err, yamux.ErrTimeout); err != nil && (!timeout || !time.Now().Before(until)) {
			s.settle()
			return !timeout
		}
	}
}

// readReply reads a status and its body of at most limit bytes.
func (s *stream) readReply(limit int) ([]byte, error) {
	status, err := s.r.ReadByte()
	if err != nil {
		return nil, noEOF(err)
	}
	if status != statusOK {
		limit = maxErrorText
	}
	body, err := readBytes(s.r, limit)
	if err != nil {
		return nil, noEOF(err)
	}
	switch status {
	case statusOK:
		return body, nil
	case statusUnknownKind:
		return nil, ErrUnknownKind
	case statusBusy:
		return nil, errBusy
	case statusTooLong:
		return nil, fmt.Errorf("the peer takes no request so long: %w", errTooLong)
	case statusFailed:
		return nil, remoteError(body)
	}
	return nil, fmt.Errorf("%w: status %d", errProtocol, status)
}

func (s *stream) writeReply(status byte, body []byte) error {
	_, err := s.Write(varint.AppendBytes([]byte{status}, body))
	return err
}

func appendKind(b []byte, k Kind) []byte { return binary.AppendUvarint(b, uint64(k)) }
