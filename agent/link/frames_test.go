package link

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/yamux"
)

// writesConn notes what each Write has.
type writesConn struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (c *writesConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, bytes.Clone(b))
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// TestFramesAreWrittenAtOnce sends messages over a session, as short as a header
// and as long as are joined to theirs, and looks at each write of both sides:
// it is one whole frame. A yamux that wrote otherwise would fail here.
func TestFramesAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	ends := []*writesConn{{Conn: a}, {Conn: b}}
	conf := yamux.DefaultConfig()
	conf.LogOutput = io.Discard
	client, err := yamux.Client(&frameConn{Conn: ends[0]}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := yamux.Server(&frameConn{Conn: ends[1]}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			s, err := server.Accept()
			if err != nil {
				return
			}
			go io.Copy(s, s)
		}
	}()
	st, err := client.Open()
	if err != nil {
		t.Fatal(err)
	}
	// One is a header by its looks.
	sent := [][]byte{{1}, make([]byte, frameHeader), binary.BigEndian.AppendUint64(make([]byte, 4), 7), make([]byte, joinedBody), {2, 3}}
	for _, msg := range sent {
		if _, err := st.Write(msg); err != nil {
			t.Fatal(err)
		}
		back := make([]byte, len(msg))
		if _, err := io.ReadFull(st, back); err != nil || !bytes.Equal(back, msg) {
			t.Fatalf("of %d bytes came back %d, %v", len(msg), len(back), err)
		}
	}
	for i, end := range ends {
		end.mu.Lock()
		defer end.mu.Unlock()
		frames := 0
		for _, w := range end.writes {
			want := frameHeader
			if len(w) >= frameHeader && w[1] == frameTypeData {
				want += int(binary.BigEndian.Uint32(w[8:]))
				frames++
			}
			if len(w) != want {
				t.Errorf("side %d wrote %d bytes at once, want a frame of %d: %x", i, len(w), want, w[:min(len(w), 20)])
			}
		}
		if frames < len(sent) {
			t.Errorf("side %d wrote %d frames of data, want %d", i, frames, len(sent))
		}
	}
}

// A write that fails is not tried again by half.
func TestAFrameThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	b.Close()
	c := &frameConn{Conn: a}
	head := binary.BigEndian.AppendUint32(make([]byte, 8), 2)
	if n, err := c.Write(head); n != len(head) || err != nil {
		t.Errorf("the header: %d, %v; want it held", n, err)
	}
	if n, err := c.Write([]byte("ab")); n != 0 || err == nil {
		t.Errorf("the body: %d, %v; want an error", n, err)
	}
	if c.open {
		t.Error("the header is still held")
	}
}

// A link has its session write so.
func TestALinkWritesWholeFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var conn *writesConn
		mem.wrap = func(c net.Conn) net.Conn {
			conn = &writesConn{Conn: c}
			return conn
		}
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		for _, msg := range []string{"one", "two", "three"} {
			a.send(b.peer, msg)
			synctest.Wait()
		}
		wantMessages(t, b.received(), "one", "two", "three")
		conn.mu.Lock()
		defer conn.mu.Unlock()
		for _, w := range conn.writes {
			if announcesBody(w) {
				t.Errorf("a header was written by itself: %x", w)
			}
		}
	})
}
