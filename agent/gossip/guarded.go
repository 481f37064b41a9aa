package gossip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// Limits of memberlist's on what a stream says of itself.
const (
	encryptedMost = 20 << 20 // bytes of an encrypted message
	announcedMost = 20 << 20 // bytes of serf's in a message
	nodesMost     = 1 << 20  // nodes in a full sync
)

// The types of memberlist's messages that announce how much follows.
const (
	syncType = 6
	userType = 8
)

const (
	// nodeCost is what memberlist takes for a node that is announced, in bytes.
	nodeCost = 128
	// headMost is how long the head of a message may be: that of a full sync has 40 bytes.
	headMost = 256
)

// In memberlist's words, which those who want to join look for.
var (
	errNotEncrypted = errors.New("encryption is configured but remote state is not encrypted")
	errLong         = errors.New("remote node state is larger than limit")
)

// guarded is a stream of a member whose bytes are counted. It decrypts what is encrypted,
// inflates what is compressed as it is read, and looks at what is announced. One goroutine
// reads it.
type guarded struct {
	net.Conn
	streams *streams
	host    string
	in      io.Reader // nil before the first byte
	err     error     // a refusal: it stays
	read    int       // bytes that memberlist got
	room    int       // how many of those are counted, also in advance

	// guarded by the lock of streams
	held   int
	ended  bool // it has to make room
	closed bool
}

func (g *guarded) Close() error {
	err := g.Conn.Close()
	g.streams.close(g)
	return err
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
	g.read += n
	if held := g.reserve(g.read); held != nil {
		n, err = 0, held
	}
	if refuses(err) {
		g.err = err
		g.streams.refused("stream", err)
	}
	return n, err
}

// reserve counts what memberlist has for a message of so many bytes.
func (g *guarded) reserve(n int) error {
	if n <= g.room {
		return nil
	}
	more := n - g.room + streamCost // some in advance
	g.room += more
	return g.streams.hold(g, more)
}

// refuses tells whether an error is this package's, because memory would grow.
func refuses(err error) bool {
	for _, of := range []error{errGrows, errNested, errHead, errLong, errCrowded} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// begin looks at the first bytes.
func (g *guarded) begin() error {
	first := make([]byte, 1)
	if n, err := g.Conn.Read(first); n == 0 {
		return err
	}
	keys := g.streams.keys()
	in, err := g.message(first[0], keys)
	if err != nil {
		// Memberlist finds the error when it reads such a message further. So it logs it, and
		// tells the other side.
		first[0] = compressType
		if len(keys) > 0 {
			first[0] = encryptType
		}
		in = io.MultiReader(bytes.NewReader(first), failing{err})
	}
	g.in = in
	return nil
}

// failing is what comes of a stream that cannot be read further.
type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// message is the one message of the stream, as it is behind encryption and compression.
func (g *guarded) message(kind byte, keys [][]byte) (io.Reader, error) {
	r := bufio.NewReader(g.Conn)
	switch {
	case len(keys) > 0 && kind != encryptType:
		return nil, errNotEncrypted
	case len(keys) > 0:
		plain, err := g.decrypt(r, keys)
		if err != nil {
			return nil, err
		}
		r.Reset(bytes.NewReader(plain))
		if kind, err = r.ReadByte(); err != nil {
			return nil, errHead // memberlist expects a type, and panics
		}
	case kind == encryptType:
		return io.MultiReader(bytes.NewReader([]byte{kind}), r), nil // memberlist refuses it
	}
	if kind == compressType {
		var err error
		if r, err = inflate(r); err != nil {
			return nil, err
		}
		if kind, err = r.ReadByte(); err != nil {
			return nil, err
		}
	}
	if kind == compressType || kind == encryptType {
		return nil, errNested
	}
	head, announced, err := readHead(kind, r)
	if err != nil {
		return nil, err
	}
	if err := g.reserve(announced); err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(append([]byte{kind}, head...)), r), nil
}

// decrypt reads an encrypted message without its type. What it holds is counted before it
// is in memory.
func (g *guarded) decrypt(r io.Reader, keys [][]byte) (plain []byte, err error) {
	head := make([]byte, 5)
	head[0] = encryptType
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[1:]))
	if size > encryptedMost {
		return nil, fmt.Errorf("%w (%d)", errLong, size)
	}
	if err := g.streams.hold(g, size); err != nil {
		return nil, err
	}
	g.room += size // memberlist's copy of it counts no more than this
	sealed := make([]byte, size)
	if _, err := io.ReadFull(r, sealed); err != nil {
		return nil, err
	}
	if len(keys) > 1 { // then another buffer takes what it is decrypted to
		g.streams.rotating.Lock()
		defer g.streams.rotating.Unlock()
	}
	return decrypted(keys, sealed, head)
}

// readHead reads the head of a message of a type, and tells for how many bytes memberlist
// makes room once it has read it.
func readHead(kind byte, r io.Reader) (head []byte, announced int, err error) {
	raw := &recorded{Reader: io.LimitReader(r, headMost)}
	d := codec.NewDecoder(raw, &userMessageFormat)
	switch kind { // with memberlist's fields, in their order
	case syncType:
		var h struct {
			Nodes        int
			UserStateLen int
			Join         bool
		}
		err = d.Decode(&h)
		announced = upTo(h.Nodes, nodesMost)*nodeCost + upTo(h.UserStateLen, announcedMost)
	case userType:
		var h struct{ UserMsgLen int }
		err = d.Decode(&h)
		announced = upTo(h.UserMsgLen, announcedMost)
	}
	switch {
	case err != nil && raw.err != nil && len(raw.bytes) < headMost:
		return nil, 0, raw.err
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %w", errHead, err)
	}
	return raw.bytes, announced, nil
}

// recorded keeps what is read, and the last error.
type recorded struct {
	io.Reader
	bytes []byte
	err   error
}

func (r *recorded) Read(p []byte) (n int, err error) {
	n, err = r.Reader.Read(p)
	r.bytes, r.err = append(r.bytes, p[:n]...), err
	return n, err
}

// upTo is n, or 0 where memberlist refuses it.
func upTo(n, most int) int {
	if n < 0 || n > most {
		return 0
	}
	return n
}
