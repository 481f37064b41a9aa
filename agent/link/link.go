package link

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"agentctl/handler/varint"
)

// linkStreams is how many streams a link has at a time, and linkWindow how many
// bytes of one wait for a slow reader: a link's memory is bounded by twice their
// product (as many streams wait to be accepted), 8 MiB.
const (
	linkStreams = 16
	linkWindow  = 256 << 10
)

// linkRequests is how many requests wait on one link at a time: with the stream
// of events, and some that are closing, less than linkStreams.
const linkRequests = 8

// link is a connection after its handshake, split into streams. Streams are
// opened by the side that opened the link.
type link struct {
	session    *yamux.Session
	peer       Peer
	host       string // where its stream came from
	key        psk
	maxMessage int          // that the peer takes
	used       atomic.Int64 // when something was last sent or received, in Unix nanoseconds
}

// newLink puts a session on a connection. It owns the connection from now on.
func newLink(g *greeted, opened bool, streamTimeout time.Duration) *link {
	g.SetDeadline(time.Time{})
	conf := &yamux.Config{
		AcceptBacklog:          linkStreams,
		EnableKeepAlive:        true, // finds peers that are gone without a word
		KeepAliveInterval:      30 * time.Second,
		ConnectionWriteTimeout: 10 * time.Second,
		MaxStreamWindowSize:    linkWindow,
		StreamOpenTimeout:      10 * time.Second,
		StreamCloseTimeout:     streamTimeout,
		Logger:                 log.New(io.Discard, "", 0), // what matters comes back as errors
	}
	start := yamux.Server
	if opened {
		start = yamux.Client
	}
	session, err := start(&frameConn{Conn: g.Conn}, conf)
	if err != nil { // a configuration that is not valid
		panic(err)
	}
	lk := &link{
		session: session,
		peer: Peer{
			Name: g.remote.name, Addr: addrOf(g.Conn), sender: g.remote.sender,
			version: g.version, features: g.remote.features,
		},
		host:       hostOf(g.Conn),
		key:        g.key,
		maxMessage: g.remote.maxMessage,
	}
	lk.touch()
	return lk
}

func (lk *link) touch() { lk.used.Store(time.Now().UnixNano()) }

func (lk *link) unusedFor() time.Duration {
	return time.Since(time.Unix(0, lk.used.Load()))
}

func (lk *link) alive() bool { return lk != nil && !lk.session.IsClosed() }

// close ends the link and all its streams. It may be called on nil, and again.
func (lk *link) close() {
	if lk != nil {
		lk.session.Close() // an error says no more than that it is closed
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

// answerBuffer is how much of answers and acknowledgements is read ahead.
const answerBuffer = 4 << 10

// maxErrorText bounds the text of a handler's error, in bytes.
const maxErrorText = 1024

// openStream opens a stream and sends head, its kind and what else is known
// yet. The stream ends with ctx.
func (lk *link) openStream(ctx context.Context, head []byte) (*stream, error) {
	s, err := lk.session.OpenStream()
	if err != nil {
		return nil, err
	}
	st := newStream(ctx, s, answerBuffer)
	if _, err := s.Write(head); err != nil {
		st.Close()
		return nil, err
	}
	lk.touch()
	return st, nil
}

// stream is one stream of a link, which ends with a context.
type stream struct {
	net.Conn
	r    *bufio.Reader
	stop func() bool
}

func newStream(ctx context.Context, s *yamux.Stream, buffer int) *stream {
	st := &stream{Conn: s, r: bufio.NewReaderSize(s, buffer)}
	st.stop = context.AfterFunc(ctx, func() { s.SetDeadline(time.Unix(1, 0)) })
	return st
}

func (s *stream) Close() error {
	s.stop()
	return s.Conn.Close()
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
