package link

import (
	"encoding/binary"
	"net"
)

// Of yamux's frames, by its specification: a header has a version, a type, two
// bytes of flags, four of the stream and four of the length. Behind one of data
// come that many bytes; in the others length means something else.
const (
	frameHeader   = 12
	frameTypeData = 0
)

// joinedBody is the longest body that is copied behind its header, in bytes. On a
// plain link a longer one is written from where it is, still in one call.
const joinedBody = 4 << 10

// frameConn writes each frame of yamux at once. Yamux writes the header and then
// the body, so that each message would be two segments and two encrypted records,
// and would wake its reader twice. Its one goroutine writes, so Write needs no
// lock.
type frameConn struct {
	net.Conn
	frame []byte // a header whose body has not come yet; as a buffer it is kept
}

func (c *frameConn) Write(b []byte) (n int, err error) {
	switch {
	case len(c.frame) == 0 && announcesBody(b):
		c.frame = append(c.frame, b...)
		return len(b), nil
	case len(c.frame) == 0:
		return c.Conn.Write(b)
	case len(b) <= joinedBody:
		c.frame = append(c.frame, b...)
		_, err = c.Conn.Write(c.frame)
	default:
		_, err = (&net.Buffers{c.frame, b}).WriteTo(c.Conn)
	}
	c.frame = c.frame[:0]
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// announcesBody reports whether b is a header behind which a body comes.
func announcesBody(b []byte) bool {
	return len(b) == frameHeader && b[1] == frameTypeData && binary.BigEndian.Uint32(b[8:]) > 0
}
