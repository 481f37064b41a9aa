package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http/httputil"
	"net/textproto"
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
	if err := c.trailer(); err != nil {
		return n, err
	}
	c.over = true
	return n, io.EOF
}

// trailer reads what is behind the last chunk, as net/http does: it is empty, or ends with
// an empty line within the buffer. Other ends of lines than CRLF are none there.
func (c *chunkReader) trailer() error {
	end, err := c.in.Peek(2)
	if string(end) == "\r\n" {
		_, err = c.in.Discard(2)
		return err
	}
	for size := 4; err == nil && !bytes.HasSuffix(end, []byte("\r\n\r\n")); size++ {
		end, err = c.in.Peek(size)
	}
	if err == nil {
		_, err = textproto.NewReader(c.in).ReadMIMEHeader()
	}
	if err == io.EOF || err == bufio.ErrBufferFull {
		return errBrokeOff
	}
	return err
}
