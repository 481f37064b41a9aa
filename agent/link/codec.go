package link

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// appendBytes appends a length and that many bytes.
func appendBytes[T ~string | ~[]byte](to []byte, v T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(v))), v...)
}

// readBytes reads a length of at most limit and that many bytes. Memory is
// taken as they come, not as they are announced.
func readBytes(r *bufio.Reader, limit int) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes where %d are allowed", ErrTooLong, n, limit)
	}
	const atOnce = 64 << 10
	b := make([]byte, 0, min(n, atOnce))
	for uint64(len(b)) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-uint64(have), atOnce))...)
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			return nil, fmt.Errorf("after %d of %d bytes: %w", have, n, noEOF(err))
		}
	}
	return b, nil
}

// noEOF makes an end in the middle of something an error that says so.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decoder takes a message apart that is all there. After the first failure it
// returns zero values; err says what was wrong.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errProtocol, what)
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

// take returns the next n bytes.
func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("a field is cut off")
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// text returns a field of at most limit bytes.
func (d *decoder) text(limit int) string {
	n := d.uvarint()
	if n > uint64(limit) {
		d.fail(fmt.Sprintf("a field of %d bytes where %d are allowed", n, limit))
		return ""
	}
	return string(d.take(int(n)))
}
