package repair

import (
	"encoding/binary"
	"errors"
	"fmt"

	"agentctl/handler"
)

var errMalformed = errors.New("repair: malformed message")

// encoder puts a message together.
type encoder []byte

func (e *encoder) uvarint(v uint64) { *e = binary.AppendUvarint(*e, v) }

func (e *encoder) fixed(v uint64) { *e = binary.BigEndian.AppendUint64(*e, v) }

func (e *encoder) flag(v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	*e = append(*e, b)
}

func (e *encoder) text(s string) {
	e.uvarint(uint64(len(s)))
	*e = append(*e, s...)
}

func (e *encoder) digest(d handler.Digest) {
	e.uvarint(d.Count)
	if d.Count > 0 {
		e.fixed(d.Hi)
		e.fixed(d.Lo)
	}
}

// decoder takes a message apart. After the first failure it returns zero
// values; end says what was wrong.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
	}
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("a number is cut off or too large")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail("a field is cut off")
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) fixed() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) flag() bool {
	b := d.take(1)
	if b != nil && b[0] > 1 {
		d.fail("a flag is %d", b[0])
	}
	return b != nil && b[0] == 1
}

func (d *decoder) text(limit int) string {
	n := d.uvarint()
	if n > uint64(limit) {
		d.fail("a text of %d bytes where %d are allowed", n, limit)
		return ""
	}
	return string(d.take(n))
}

func (d *decoder) digest() (g handler.Digest) {
	if g.Count = d.uvarint(); g.Count > 0 {
		g.Hi, g.Lo = d.fixed(), d.fixed()
	}
	return g
}

// list reads a count of at most limit and that many elements. Memory is taken
// as they come, not as they are announced.
func list[T any](d *decoder, limit int, read func() T) (all []T) {
	n := d.uvarint()
	if n > uint64(limit) {
		d.fail("a list of %d where %d are allowed", n, limit)
	}
	for ; n > 0 && d.err == nil; n-- {
		all = append(all, read())
	}
	return all
}

// end tells whether all was there and nothing more.
func (d *decoder) end() error {
	if len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}
