package varint

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// LengthError is a field of a stream that is longer than its limit. Nothing of
// the field was read.
type LengthError struct {
	length uint64
	limit  int
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("%d bytes where %d are allowed", e.length, e.limit)
}

// ReadBytes reads a length of at most limit and that many bytes from a stream.
// It takes memory as they come, not as they are announced. The error is io.EOF
// only where the stream ends before the length.
func ReadBytes(r *bufio.Reader, limit int) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(max(limit, 0)) {
		return nil, &LengthError{n, limit}
	}
	const atOnce = 64 << 10
	b := make([]byte, 0, min(n, atOnce))
	for uint64(len(b)) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-uint64(have), atOnce))...)
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("after %d of %d bytes: %w", have, n, err)
		}
	}
	return b, nil
}
