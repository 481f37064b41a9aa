package link

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxRecord is how many bytes may follow the head of a record: its length has two bytes.
const maxRecord = 1<<16 - 1

// recordAhead is how much of records is read ahead, in bytes. An event of the usual size
// fits, and needs no other buffer.
const recordAhead = 1 << 10

// form is how bytes become records and come back from them: encrypted, or with a checksum.
type form struct {
	head     int // bytes ahead of a record's body, which tell its length
	overhead int // bytes that a record has more than it carries
	most     int // bytes that a record carries, at most

	size func(head []byte) (int, error)              // of the body
	seal func(dst, plain []byte) ([]byte, error)     // appends a record
	open func(record []byte) (plain []byte, _ error) // in place; not empty
}

// recordBuffers are for records on their way out, and for those on their way in that
// recordAhead has no room for. An idle link has none.
var recordBuffers = sync.Pool{New: func() any { return new([4 + maxRecord]byte) }}

// recordLayer has what goes over a connection in records. One goroutine may read while
// another one writes.
type recordLayer struct {
	net.Conn
	form  *form
	r     *bufio.Reader // of Conn
	limit int           // bytes of a record's body that is read

	plain []byte // of a record, and not read yet
	held  int    // bytes of r that it is in
	large *[4 + maxRecord]byte
}

func newRecordLayer(conn net.Conn, f *form, limit int) *recordLayer {
	return &recordLayer{Conn: conn, form: f, r: bufio.NewReaderSize(conn, recordAhead), limit: limit}
}

func (c *recordLayer) Read(b []byte) (int, error) {
	if len(c.plain) == 0 {
		if err := c.readRecord(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.plain)
	if c.plain = c.plain[n:]; len(c.plain) == 0 {
		c.free()
	}
	return n, nil
}

func (c *recordLayer) readRecord() error {
	head, err := c.r.Peek(c.form.head)
	if err != nil {
		if len(head) > 0 {
			err = noEOF(err)
		}
		return err
	}
	n, err := c.form.size(head)
	if err != nil {
		return err
	}
	if n > c.limit {
		return fmt.Errorf("%w: a record of %d bytes where %d are allowed", errProtocol, n, c.limit)
	}
	n += c.form.head
	var record []byte
	if n <= c.r.Size() {
		record, err = c.r.Peek(n)
		c.held = len(record)
	} else {
		c.large = recordBuffers.Get().(*[4 + maxRecord]byte)
		record = c.large[:n]
		_, err = io.ReadFull(c.r, record)
	}
	if err == nil {
		c.plain, err = c.form.open(record)
	}
	if err != nil {
		c.free()
	}
	return noEOF(err)
}

// free gives back what the last record was in.
func (c *recordLayer) free() {
	c.r.Discard(c.held) // which is there
	c.plain, c.held = nil, 0
	if c.large != nil {
		recordBuffers.Put(c.large)
		c.large = nil
	}
}

// Write writes as many records at once as a buffer has room for.
func (c *recordLayer) Write(b []byte) (written int, err error) {
	buf := recordBuffers.Get().(*[4 + maxRecord]byte)
	defer recordBuffers.Put(buf)
	for len(b) > 0 {
		records, n := buf[:0], 0
		for n < len(b) {
			chunk := b[n:min(len(b), n+c.form.most)]
			if len(records)+len(chunk)+c.form.overhead > len(buf) {
				break
			}
			if records, err = c.form.seal(records, chunk); err != nil {
				return written, err
			}
			n += len(chunk)
		}
		if _, err := c.Conn.Write(records); err != nil {
			return written, err
		}
		written += n
		b = b[n:]
	}
	return written, nil
}
