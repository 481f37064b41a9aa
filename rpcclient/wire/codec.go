package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// handle is the codec's configuration, on both sides the same as stock serf's.
var handle = newHandle()

func newHandle() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.TimeNotBuiltin = true
	return h
}

// Writer encodes values to a stream. It is not safe for concurrent use.
type Writer struct {
	bw  *bufio.Writer
	enc *codec.Encoder
}

// NewWriter returns a Writer that buffers to w.
func NewWriter(w io.Writer) *Writer {
	bw := bufio.NewWriter(w)
	return &Writer{bw: bw, enc: codec.NewEncoder(bw, handle)}
}

// Write encodes header and then body, if body is not nil, and flushes. After
// an error the stream may hold half a value: close it.
func (w *Writer) Write(header, body any) error {
	if err := w.encode(header); err != nil {
		return err
	}
	if body != nil {
		if err := w.encode(body); err != nil {
			return err
		}
	}
	return w.bw.Flush()
}

func (w *Writer) encode(v any) error {
	b, ok := appendPlain(w.bw.AvailableBuffer(), v)
	if !ok {
		return w.enc.Encode(v)
	}
	_, err := w.bw.Write(b)
	return err
}

// Limits bound what a [Reader] takes in for one msgpack value.
type Limits struct {
	Bytes int // of the whole value, its lengths and type bytes included
	Depth int // of nested arrays and maps; a plain struct has depth 1
	Items int // values inside of value, at all depths; a map entry counts as two
}

// DefaultLimits fit every message that serf sends: the largest are the member
// lists of clusters with thousands of nodes.
var DefaultLimits = Limits{Bytes: 16 << 20, Depth: 8, Items: 1 << 20}

// ErrLimit is what a [Reader]'s error wraps when a value broke a limit.
var ErrLimit = errors.New("message over the limit")

// empty is what an idle decoder reads from; it takes no nil.
var empty = []byte{}

// errMalformed is wrapped when bytes are not msgpack.
var errMalformed = errors.New("malformed message")

// Reader cuts a stream into msgpack values, checks each against its limits
// while it arrives, and decodes it. It is not safe for concurrent use, and
// after an error the stream's position is lost: close it.
type Reader struct {
	br     *bufio.Reader
	limits Limits
	large  func() error // see OnLarge
	asked  bool         // large was called for this value
	buf    []byte
	items  int
	dec    *codec.Decoder
}

// NewReader returns a Reader of r with the given limits.
func NewReader(r io.Reader, limits Limits) *Reader {
	return &Reader{
		br:     bufio.NewReader(r),
		limits: limits,
		dec:    codec.NewDecoderBytes(nil, handle),
	}
}

// LargeValue is the size in bytes from which on a value is large; see [Reader.OnLarge].
const LargeValue = 64 << 10

// OnLarge has f called before a value takes more than [LargeValue] bytes, once for each
// such value. Read goes on when f returns, or returns f's error. So a server can bound
// what many Readers hold together.
func (r *Reader) OnLarge(f func() error) { r.large = f }

// SetLimits changes the limits for the values that follow: a server takes
// little from a client that has not yet proved a key.
func (r *Reader) SetLimits(l Limits) { r.limits = l }

// Read takes the next value and decodes it into v; a nil v skips it. It
// returns io.EOF only where the stream ends between two values, and
// io.ErrUnexpectedEOF where it ends inside one.
func (r *Reader) Read(v any) error {
	if cap(r.buf) > LargeValue {
		r.buf = nil // one large message shall not hold memory for ever
	}
	r.buf, r.items, r.asked = r.buf[:0], 0, false
	if r.plain(v) {
		return nil
	}
	if err := r.value(0); err != nil {
		if errors.Is(err, io.EOF) && len(r.buf) > 0 {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if v == nil {
		return nil
	}
	r.dec.ResetBytes(r.buf)
	err := r.dec.Decode(v)
	r.dec.ResetBytes(empty) // so that the decoder does not hold on to r.buf
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// plain takes the next value if it is a plain message that is there as a whole. It waits for
// the first byte of one. An error comes again, to who reads the value otherwise.
func (r *Reader) plain(v any) bool {
	if r.limits.Depth < 1 || r.limits.Items < maxPlainItems {
		return false
	}
	if _, err := r.br.Peek(1); err != nil {
		return false
	}
	b, _ := r.br.Peek(min(r.br.Buffered(), max(r.limits.Bytes, 0)))
	n := readPlain(b, v)
	if n > 0 {
		r.buf = append(r.buf, b[:n]...)
		r.br.Discard(n)
	}
	return n > 0
}

// Buffered tells how many bytes of later values are there already.
func (r *Reader) Buffered() int { return r.br.Buffered() }

// Value returns the bytes of the value that Read took last. They are valid
// until the next Read.
func (r *Reader) Value() []byte { return r.buf }

// value appends one msgpack value, with all that it contains, to r.buf.
func (r *Reader) value(depth int) error {
	if r.items++; r.items > r.limits.Items {
		return fmt.Errorf("%w of %d items", ErrLimit, r.limits.Items)
	}
	tag, err := r.take(1)
	if err != nil {
		return err
	}
	switch t := tag[0]; {
	case t <= 0x7f || t >= 0xe0: // small integers
		return nil
	case t <= 0x8f:
		return r.container(int(t&0x0f)*2, depth)
	case t <= 0x9f:
		return r.container(int(t&0x0f), depth)
	case t <= 0xbf:
		return r.skip(int(t & 0x1f))
	}
	switch tag[0] {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return nil
	case 0xcc, 0xd0: // 8 bit integers
		return r.skip(1)
	case 0xcd, 0xd1:
		return r.skip(2)
	case 0xca, 0xce, 0xd2:
		return r.skip(4)
	case 0xcb, 0xcf, 0xd3:
		return r.skip(8)
	case 0xc4, 0xd9: // bin 8, str 8
		return r.sized(1, 0)
	case 0xc5, 0xda:
		return r.sized(2, 0)
	case 0xc6, 0xdb:
		return r.sized(4, 0)
	case 0xc7: // ext: a type byte comes before the data
		return r.sized(1, 1)
	case 0xc8:
		return r.sized(2, 1)
	case 0xc9:
		return r.sized(4, 1)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext 1, 2, 4, 8, 16
		return r.skip(1 + 1<<(tag[0]-0xd4))
	case 0xdc, 0xdd: // array 16, array 32
		n, err := r.length(2 << (tag[0] - 0xdc))
		if err != nil {
			return err
		}
		return r.container(n, depth)
	case 0xde, 0xdf: // map 16, map 32
		n, err := r.length(2 << (tag[0] - 0xde))
		if err != nil {
			return err
		}
		return r.container(n*2, depth)
	}
	return fmt.Errorf("%w: type byte 0x%02x", errMalformed, tag[0])
}

// container reads the n values inside an array or map.
func (r *Reader) container(n, depth int) error {
	if depth++; depth > r.limits.Depth {
		return fmt.Errorf("%w of %d nested levels", ErrLimit, r.limits.Depth)
	}
	if n > r.limits.Items-r.items {
		return fmt.Errorf("%w of %d items", ErrLimit, r.limits.Items)
	}
	for range n {
		if err := r.value(depth); err != nil {
			return err
		}
	}
	return nil
}

// sized reads a length of the given width and then that many bytes and extra.
func (r *Reader) sized(width, extra int) error {
	n, err := r.length(width)
	if err != nil {
		return err
	}
	return r.skip(n + extra)
}

// length reads a big-endian number of 1, 2 or 4 bytes. A length of 1 GiB and
// more is refused here, so that sums of lengths fit an int everywhere.
func (r *Reader) length(width int) (n int, err error) {
	b, err := r.take(width)
	if err != nil {
		return 0, err
	}
	for _, c := range b {
		if n = n<<8 | int(c); n >= 1<<30 || n < 0 {
			return 0, fmt.Errorf("%w: a length of 1 GiB or more", ErrLimit)
		}
	}
	return n, nil
}

func (r *Reader) skip(n int) error { _, err := r.take(n); return err }

// take appends the next n bytes of the stream to r.buf and returns them. It
// goes in steps, so that a large n costs memory only as its bytes arrive.
func (r *Reader) take(n int) ([]byte, error) {
	if n > r.limits.Bytes-len(r.buf) {
		return nil, fmt.Errorf("%w of %d bytes", ErrLimit, r.limits.Bytes)
	}
	if len(r.buf)+n > LargeValue && r.large != nil && !r.asked {
		r.asked = true
		if err := r.large(); err != nil {
			return nil, err
		}
	}
	const step = 16 << 10
	start := len(r.buf)
	if n <= r.br.Buffered() { // as nearly always: a value of few bytes after the other
		b, _ := r.br.Peek(n)
		r.buf = append(r.buf, b...)
		r.br.Discard(n)
		return r.buf[start:], nil
	}
	for n > 0 {
		at, m := len(r.buf), min(n, step)
		r.buf = append(r.buf, make([]byte, m)...)
		got, err := io.ReadFull(r.br, r.buf[at:])
		if err != nil {
			r.buf = r.buf[:at+got]
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF // Read tells the two apart by what it has
			}
			return nil, err
		}
		n -= m
	}
	return r.buf[start:], nil
}
