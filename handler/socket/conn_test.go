package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// pair is both ends of a connection over loopback.
func pair(t *testing.T) (here, there net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if here, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	return here, there
}

// What is far larger than a socket's buffers comes as it was sent, both ways, and then
// the end.
func TestBytesComeAsTheyWereSent(t *testing.T) {
	a, b := pair(t)
	here, there := New(a), New(b)
	sent := make([]byte, 4<<20)
	for i := range sent {
		sent[i] = byte(i >> 8 * i)
	}
	written := make(chan error, 2)
	for _, c := range []*Conn{here, there} {
		go func() {
			n, err := c.Write(sent)
			if err == nil && n != len(sent) {
				err = io.ErrShortWrite
			}
			c.CloseWrite()
			written <- err
		}()
	}
	back := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(here)
		back <- all
	}()
	got, err := io.ReadAll(there)
	if err != nil || !bytes.Equal(got, sent) || !bytes.Equal(<-back, sent) {
		t.Errorf("%d bytes came, %v; want %d, in both directions", len(got), err, len(sent))
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}

// All that fails has the error of package net, word for word.
func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	read := func(c net.Conn) error {
		_, err := c.Read(make([]byte, 1))
		return err
	}
	write := func(c net.Conn) (err error) {
		for err == nil { // until the buffers are full
			_, err = c.Write(make([]byte, 1<<20))
		}
		return err
	}
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }
	for name, tt := range map[string]struct {
		upset func(here, there net.Conn)
		do    func(net.Conn) error
	}{
		"a read beyond the deadline":   {func(here, _ net.Conn) { here.SetReadDeadline(time.Unix(1, 0)) }, read},
		"a write beyond the deadline":  {func(here, _ net.Conn) { here.SetWriteDeadline(time.Unix(1, 0)) }, write},
		"a write that a deadline ends": {func(here, _ net.Conn) { here.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) }, write},
		"a read that a deadline ends":  {func(here, _ net.Conn) { here.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) }, read},
		"a read after Close":           {func(here, _ net.Conn) { here.Close() }, read},
		"a write after Close":          {func(here, _ net.Conn) { here.Close() }, write},
		"the end":                      {func(_, there net.Conn) { there.Close() }, read},
		"a reset":                      {func(_, there net.Conn) { reset(there) }, read},
		"a reset while it writes":      {func(_, there net.Conn) { reset(there) }, write},
	} {
		a, b := pair(t)
		tt.upset(a, b)
		got := tt.do(New(a))
		a2, b2 := pair(t)
		tt.upset(a2, b2)
		want := tt.do(a2)
		if masked(got, a) != masked(want, a2) {
			t.Errorf("%s: %q, and of package net %q", name, got, want)
		}
		gotOp, ok1 := got.(net.Error)
		wantOp, ok2 := want.(net.Error)
		if ok1 != ok2 || ok1 && gotOp.Timeout() != wantOp.Timeout() {
			t.Errorf("%s: %#v, and of package net %#v", name, got, want)
		}
	}
}

// masked is an error without the ports of its connection.
func masked(err error, c net.Conn) string {
	text := []byte(err.Error())
	for _, addr := range []net.Addr{c.LocalAddr(), c.RemoteAddr()} {
		text = bytes.ReplaceAll(text, []byte(addr.String()), []byte("addr"))
	}
	return string(text)
}

func TestReadable(t *testing.T) {
	a, there := pair(t)
	here := New(a)
	if here.Readable() {
		t.Error("an idle connection is readable")
	}
	if _, err := there.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Read(make([]byte, 0)); err != nil {
		t.Error(err)
	}
	one := make([]byte, 1)
	for !here.Readable() { // until the byte has come
	}
	if n, err := here.Read(one); n != 1 || err != nil || one[0] != 'x' {
		t.Errorf("what was looked at is gone: %q, %v", one[:n], err)
	}
	there.Close()
	for !here.Readable() {
	}
	if _, err := here.Read(one); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
	here.Close()
	if !here.Readable() {
		t.Error("a closed connection is not readable")
	}
}

func TestAConnectionWithoutASocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	here := New(a)
	go here.Write([]byte("x"))
	one := make([]byte, 1)
	if _, err := b.Read(one); err != nil || one[0] != 'x' {
		t.Errorf("%q, %v", one, err)
	}
	go b.Write([]byte("y"))
	if here.Readable() {
		t.Error("nobody can tell, and it is readable")
	}
	if _, err := here.Read(one); err != nil || one[0] != 'y' {
		t.Errorf("%q, %v", one, err)
	}
	if err := here.CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("half of it was closed: %v", err)
	}
}

func TestReadsAndWritesDoNotAllocate(t *testing.T) {
	a, b := pair(t)
	here, there := New(a), New(b)
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		here.Write(p)
		there.Readable()
		io.ReadFull(there, p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
