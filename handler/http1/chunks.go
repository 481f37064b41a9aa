package http1

import (
	"bufio"
	"io"
	"net/http/httputil"
)

// chunkReader reads a body in chunks, up to the end of its trailer.
type chunkReader struct {
	in   *bufio.Reader
	data io.Reader
	over bool // the trailer is read, too
}

func (c *chunkReader) reset(in *bufio.Reader) {
	c.in, c.data, c.over = in, httputil.NewChunkedReader(in), false
}

// Read returns [io.EOF] only behind the trailer.
func (c *chunkReader) Read(p []byte) (int, error) {
	if c.over {
		return 0, io.EOF
	}
	n, err := c.data.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = errBrokeOff
	}
	if err != io.EOF {
		return n, err
	}
	for trailer := (lineReader{r: c.in, left: maxHead}); ; {
		line, err := trailer.next()
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = errBrokeOff
		}
		if err != nil {
			return n, err
		}
		if len(line) == 0 {
			c.over = true
			return n, io.EOF
		}
	}
}
