package link

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"agentctl/handler/varint"
)

// readBytes reads a length of at most limit and that many bytes.
func readBytes(r *bufio.Reader, limit int) ([]byte, error) {
	b, err := varint.ReadBytes(r, limit)
	if _, ok := errors.AsType[*varint.LengthError](err); ok {
		return nil, fmt.Errorf("%w: %w", errTooLong, err)
	}
	return b, err
}

// noEOF makes an end in the middle of something an error that says so.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
