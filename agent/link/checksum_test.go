package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bentConn changes one byte of what is read, or of what is written.
type bentConn struct {
	net.Conn
	read, written bent
}

// bent changes the byte at a position of what passes.
type bent struct {
	at, passed int // at -1: none
	flip       byte
}

func (f *bent) pass(b []byte) {
	if i := f.at - f.passed; f.at >= 0 && i >= 0 && i < len(b) {
		b[i] ^= f.flip
	}
	f.passed += len(b)
}

func (c *bentConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.pass(b[:n])
	return n, err
}

func (c *bentConn) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	c.written.pass(b)
	return c.Conn.Write(b)
}

// Whichever byte of a conversation is changed on the way, in either direction, no message
// but those that were sent is delivered, to nobody and from nobody else, and all are
// delivered in the end. Only the first byte of each side has no protection: what does not
// begin with it is no link, so the node is taken for no peer, and that is reported.
func TestNoFlippedBitIsDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		want := []string{"purge /a", strings.Repeat("b", 300), "purge /c"}
		mem := newMemNet()
		// converse sends the messages over a new link, and returns what passed it.
		i := 0
		converse := func(read, written bent) (to, from *node, conn *bentConn, accepted []string) {
			i += 2
			mem.wrap = func(c net.Conn) net.Conn {
				if conn != nil {
					return c // only the first link is bent
				}
				conn = &bentConn{c, read, written}
				return conn
			}
			to = memNode(t, mem, i, func(c *Config) { c.Accepted = func(name string) { accepted = append(accepted, name) } })
			over := make(chan struct{})
			defer close(over)
			go func() { // as memberlist does with what it does not know
				select {
				case c := <-to.Transport().StreamCh():
					c.Read(make([]byte, 1024))
					c.Close()
				case <-over:
				}
			}()
			from = memNode(t, mem, i+1, nil)
			for _, m := range want {
				from.send(to.peer, m)
				synctest.Wait()
			}
			time.Sleep(20 * time.Second)
			to.stop()
			from.stop()
			return to, from, conn, accepted
		}
		_, _, whole, _ := converse(bent{at: -1}, bent{at: -1})
		if whole.read.passed < 100 || whole.written.passed < 400 {
			t.Fatalf("%d bytes were read and %d written", whole.read.passed, whole.written.passed)
		}
		damaged := 0.0
		check := func(what string, at int, read, written bent) {
			to, from, _, accepted := converse(read, written)
			for _, name := range accepted {
				if name != from.peer.Name {
					t.Errorf("%s %d: the link was taken for one of %q", what, at, name)
				}
			}
			damaged += to.metric("agentctl_link_closed_total", closeDamaged) + from.metric("agentctl_link_closed_total", closeDamaged)
			if at == 0 {
				if got := to.received(); len(got) > 0 || from.behindBy(to.peer.Name) != uint64(len(want)) || !from.saidNoPeer(to.peer.Name) {
					t.Errorf("%s %d: %q came, and %d are reported", what, at, got, from.behindBy(to.peer.Name))
				}
				return
			}
			if got := to.received(); fmt.Sprint(got) != fmt.Sprint(want) || from.pendingFor(to.peer.Name) {
				t.Errorf("%s %d: %q came", what, at, got)
			}
		}
		step := 1
		if testing.Short() {
			step = 9 // so that other bits come with it, too
		}
		for at := 0; at < whole.written.passed; at += step {
			check("written", at, bent{at: -1}, bent{at: at, flip: 1 << (at % 8)})
		}
		for at := 0; at < whole.read.passed; at += step {
			check("read", at, bent{at: at, flip: 1 << (at % 8)}, bent{at: -1})
		}
		if records := (whole.read.passed + whole.written.passed - 200) / step; damaged < float64(records) {
			t.Errorf("%v links are counted as damaged, of %d", damaged, records)
		}
	})
}

// Peers without checksums are spoken to as before, whoever opens the link.
func TestChecksumsNeedBothSides(t *testing.T) {
	for _, c := range []struct{ opener, acceptor bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		bubble(t, func(t *testing.T) {
			mem := newMemNet()
			var conn *recordConn
			mem.wrap = func(c net.Conn) net.Conn {
				conn = &recordConn{Conn: c}
				return conn
			}
			a := memNode(t, mem, 1, func(cfg *Config) { cfg.noChecksums, cfg.noBothWays = !c.opener, true })
			b := memNode(t, mem, 2, func(cfg *Config) { cfg.noChecksums, cfg.noBothWays = !c.acceptor, true })
			long := strings.Repeat("x", 60<<10)
			a.send(b.peer, "one", long)
			synctest.Wait()
			wantMessages(t, b.received(), "one", long)
			if a.pendingFor("node2") || mem.dialed() != 1 {
				t.Errorf("%v: not acknowledged over the first of %d links", c, mem.dialed())
			}
			// The first frame of a link that goes one way is GoAway, of 12 bytes.
			record, _ := checked.seal(nil, []byte{0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
			if got := bytes.Contains(conn.wrote.Bytes(), record); got != (c.opener && c.acceptor) {
				t.Errorf("%v: records with checksums: %v", c, got)
			}
		})
	}
}

// A damaged record closes the link, which says so on the side where it came.
func TestDamageIsTold(t *testing.T) {
	for _, side := range []string{"opener", "acceptor"} {
		bubble(t, func(t *testing.T) {
			mem := newMemNet()
			var conn *bentConn
			mem.wrap = func(c net.Conn) net.Conn {
				conn = &bentConn{c, bent{at: -1}, bent{at: -1}}
				return conn
			}
			var lost losses
			a, b := memNode(t, mem, 1, lost.config), memNode(t, mem, 2, nil)
			a.Keep([]Peer{b.peer})
			synctest.Wait()
			conn.read.flip, conn.written.flip = 1, 1
			teller, peer := b, "peer=node1"
			if side == "opener" {
				teller, peer = a, "peer=node2"
				conn.read.at = conn.read.passed + 20 // in the next record's body, and not in its head
			} else {
				conn.written.at = conn.written.passed + 20
			}
			a.send(b.peer, "one")
			time.Sleep(time.Second)
			wantMessages(t, b.received(), "one")
			if n := teller.metric("agentctl_link_closed_total", closeDamaged); n != 1 || lost.told("node2") != 1 {
				t.Errorf("%s: %v links are counted as damaged, and %d as lost", side, n, lost.told("node2"))
			}
			if line := "damaged on the way"; !strings.Contains(teller.log.String(), line) || !strings.Contains(teller.log.String(), peer) {
				t.Errorf("%s: no line says %q of %q:\n%s", side, line, peer, teller.log)
			}
		})
	}
}

// The bytes of a record, on machines of either byte order.
func TestTheBytesOfARecord(t *testing.T) {
	record, err := checked.seal(nil, []byte("123456789"))
	if want := "\x00\x09\xff\xf6\x0b\xb9\x01\x06123456789"; err != nil || string(record) != want {
		t.Errorf("%x, %v; want %x", record, err, want)
	}
}

// A record that is cut off, empty or too long ends the link with an error of its own.
func TestRecordsThatAreWrong(t *testing.T) {
	whole, _ := checked.seal(nil, []byte("hello"))
	long, _ := checked.seal(nil, make([]byte, checkedMost+1))
	for name, c := range map[string]struct {
		bytes []byte
		err   error
	}{
		"cut in its head":                {whole[:3], io.ErrUnexpectedEOF},
		"cut in its body":                {whole[:10], io.ErrUnexpectedEOF},
		"empty":                          {[]byte{0, 0, 0xff, 0xff, 0, 0, 0, 0}, errProtocol},
		"longer than allowed":            {long, errProtocol},
		"with a length that was changed": {append([]byte{1}, whole[1:]...), errDamaged},
		"with a byte that was changed":   {append(bytes.Clone(whole[:12]), 'O'), errDamaged},
	} {
		l := newRecordLayer(&scriptConn{in: bytes.NewReader(c.bytes)}, &checked, checkedMost)
		if n, err := l.Read(make([]byte, 10)); n != 0 || !errors.Is(err, c.err) {
			t.Errorf("a record %s: %d bytes, %v", name, n, err)
		}
	}
}
