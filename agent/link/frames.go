package link

import (
	"encoding/binary"
	"net"
	"sync"
)

// Of yamux's frames, by its specification: a header has a version, a type, two
// bytes of flags, four of the stream and four of the length. Behind one of data
// come that many bytes; in the others length means something else.
const (
	frameHeader   = 12
	frameTypeData = 0
)

// joinedBody is how much of a body is copied behind its header, in bytes: all that is
// written to a stream at once.
const joinedBody = writePiece

// joined are buffers for a header and a body. Only few links write at a time.
var joined = sync.Pool{New: func() any { return new([frameHeader + joinedBody]byte) }}

// frameConn writes each frame of yamux at once. Yamux writes the header and then
// the body, so that each message would be two segments and two encrypted records,
// and would wake its reader twice. Its one goroutine writes, so Write needs no
// lock.
type frameConn struct {
	net.Conn
	head [frameHeader]byte // whose body has not come yet
	open bool              // there is one
}

func (c *frameConn) Write(b []byte) (int, error) {
	if !c.open && announcesBody(b) {
		c.open = true
		return copy(c.head[:], b), nil
	}
	if !c.open {
		return c.Conn.Write(b)
	}
	c.open = false
	buf := joined.Get().(*[frameHeader + joinedBody]byte)
	defer joined.Put(buf)
	n := copy(buf[frameHeader:], b)
	copy(buf[:], c.head[:])
	if _, err := c.Conn.Write(buf[:frameHeader+n]); err != nil {
		return 0, err
	}
	if n < len(b) {
		if _, err := c.Conn.Write(b[n:]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// announcesBody reports whether b is a header behind which a body comes.
func announcesBody(b []byte) bool {
	return len(b) == frameHeader && b[1] == frameTypeData && binary.BigEndian.Uint32(b[8:]) > 0
}
