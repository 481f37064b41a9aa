package link

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/time/rate"
)

// Of yamux's frames, beside what frames.go has.
const (
	frameTypePing = 2
	frameFlagSYN  = 1
)

// pingEvery and pingBurst bound the pings of the other side, which come every 30 s. Yamux
// has a goroutine answer each, and it waits while the other side does not read.
const pingEvery, pingBurst = rate.Limit(1), 16

// meter reads the heads of the frames that come on a link, on their way to yamux. One
// goroutine reads.
type meter struct {
	net.Conn
	hold  func(ours bool, n int64) error // told of data before it is read, see link.count
	done  func(error)                    // told of each Read
	first uint32                         // odd or even, as the IDs of the streams that this side opens
	pings *rate.Limiter

	head []byte // of a frame of which not all has come
	body int64  // bytes of data that are still to come
}

// newMeter is for the side that opened the link, or for the other one.
func newMeter(conn net.Conn, opened bool, hold func(bool, int64) error, done func(error)) *meter {
	m := &meter{Conn: conn, hold: hold, done: done, pings: rate.NewLimiter(pingEvery, pingBurst)}
	if opened {
		m.first = 1
	}
	return m
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.done(err)
	if bad := m.look(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

func (m *meter) look(b []byte) error {
	for len(b) > 0 {
		if m.body > 0 {
			n := min(m.body, int64(len(b)))
			m.body, b = m.body-n, b[n:]
			continue
		}
		n := min(frameHeader-len(m.head), len(b))
		m.head, b = append(m.head, b[:n]...), b[n:]
		if len(m.head) < frameHeader {
			return nil
		}
		ours := binary.BigEndian.Uint32(m.head[4:])%2 == m.first
		err := m.frame(m.head[1], binary.BigEndian.Uint16(m.head[2:]), ours, binary.BigEndian.Uint32(m.head[8:]))
		if err != nil {
			return err
		}
		m.head = m.head[:0]
	}
	return nil
}

func (m *meter) frame(kind byte, flags uint16, ours bool, length uint32) error {
	switch {
	case kind == frameTypePing && flags&frameFlagSYN != 0 && !m.pings.Allow():
		return fmt.Errorf("%w: it pings too often", errProtocol)
	case kind == frameTypeData:
		m.body = int64(length)
		return m.hold(ours, m.body*dataCost)
	}
	return nil
}
