package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testParty is one side of a handshake by itself.
func testParty(name string) *party {
	return &party{self: hello{lo: minVersion, hi: maxVersion, maxMessage: 100, name: name}, timeout: patience}
}

// shake runs both sides of a handshake over conn pairs as they are.
func shake(from, to *party, key psk, keys []psk) (opened, accepted *greeted, openErr, acceptErr error) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	var both sync.WaitGroup
	both.Go(func() {
		defer theirs.Close()
		io.ReadFull(theirs, make([]byte, 1))
		accepted, acceptErr = to.accept(theirs, keys)
	})
	opened, openErr = from.open(ours, key, senderID{1})
	both.Wait()
	return opened, accepted, openErr, acceptErr
}

func TestHandshake(t *testing.T) {
	a, b := testParty("a"), testParty("b")
	one, two := newPSK(testKey("one")), newPSK(testKey("two"))
	for _, key := range []psk{{}, two} {
		keys := []psk{{}}
		if key != (psk{}) {
			keys = []psk{one, two}
		}
		opened, accepted, err, acceptErr := shake(a, b, key, keys)
		if err != nil || acceptErr != nil {
			t.Fatal(err, acceptErr)
		}
		if opened.remote.name != "b" || accepted.remote.name != "a" || accepted.key != key || opened.version != maxVersion {
			t.Errorf("they took each other for %+v and %+v", opened, accepted)
		}
	}
}

// Who has no common key, mode or version is told so.
func TestHandshakeRefusals(t *testing.T) {
	one, two := newPSK(testKey("one")), newPSK(testKey("two"))
	newer := testParty("newer")
	newer.self.lo, newer.self.hi = 2, 3
	for name, c := range map[string]struct {
		from       *party
		key        psk
		keys       []psk
		text, back string
		reason     string
	}{
		"wrong key":  {testParty("a"), one, []psk{two}, "this agent's key is not on its keyring", "its key is not on this agent's keyring", rejectWrongKey},
		"no key":     {testParty("a"), psk{}, []psk{two}, "it has a keyring", "it has no keyring", rejectNoKey},
		"no keyring": {testParty("a"), one, []psk{{}}, "it has no keyring", "it has a keyring", rejectNoKeyring},
		"version": {newer, one, []psk{one}, "it speaks versions 1 to 1 of the protocol, and this agent 2 to 3",
			"it speaks versions 2 to 3 of the protocol, and this agent 1 to 1", rejectVersion},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err, acceptErr := shake(c.from, testParty("b"), c.key, c.keys)
			for _, e := range []struct {
				err  error
				text string
			}{{err, c.text}, {acceptErr, c.back}} {
				if _, ok := errors.AsType[*refusal](e.err); !ok || !strings.Contains(e.err.Error(), e.text) {
					t.Errorf("%v does not say %q", e.err, e.text)
				}
			}
			if got := rejectReason(acceptErr); got != c.reason {
				t.Errorf("counted as %q, not %q", got, c.reason)
			}
		})
	}
}

// The highest version that both speak is used.
func TestHandshakeAgreesOnTheHighestVersion(t *testing.T) {
	a, b := testParty("a"), testParty("b")
	a.self.hi, b.self.hi = 7, 4
	opened, accepted, err, acceptErr := shake(a, b, psk{}, []psk{{}})
	if err != nil || acceptErr != nil {
		t.Fatal(err, acceptErr)
	}
	if opened.version != 4 || accepted.version != 4 {
		t.Errorf("they agreed on %d and %d, not on 4", opened.version, accepted.version)
	}
}

// flipConn changes one byte of what is written.
type flipConn struct {
	net.Conn
	at, n int
}

func (c *flipConn) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	if i := c.at - c.n; i >= 0 && i < len(b) {
		b[i] ^= 4
	}
	c.n += len(b)
	return c.Conn.Write(b)
}

// Whatever byte of a keyed handshake is changed on the way, no link comes of it.
func TestHandshakeChangedOnTheWay(t *testing.T) {
	key := newPSK(testKey("one"))
	for _, opener := range []bool{true, false} {
		for at := 1; at < preambleSize+48; at++ {
			ours, theirs := net.Pipe()
			var from, to net.Conn = ours, theirs
			if opener {
				from = &flipConn{Conn: ours, at: at}
			} else {
				to = &flipConn{Conn: theirs, at: at}
			}
			a, b := testParty("a"), testParty("b")
			a.timeout, b.timeout = 200*time.Millisecond, 200*time.Millisecond // for a length that was made longer
			var both sync.WaitGroup
			var acceptErr error
			both.Go(func() {
				defer to.Close()
				io.ReadFull(to, make([]byte, 1))
				_, acceptErr = b.accept(to, []psk{key})
			})
			_, err := a.open(from, key, senderID{1})
			from.Close()
			both.Wait()
			if err == nil || opener && acceptErr == nil {
				t.Errorf("byte %d changed (opener: %v): %v, %v", at, opener, err, acceptErr)
			}
		}
	}
}

// recordConn keeps what is written.
type recordConn struct {
	net.Conn
	wrote bytes.Buffer
}

func (c *recordConn) Write(b []byte) (int, error) {
	c.wrote.Write(b)
	return c.Conn.Write(b)
}

// A recorded link, sent again byte for byte, gets no further than the handshake.
func TestReplayedLinkDeliversNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var recorded *recordConn
		mem.wrap = func(c net.Conn) net.Conn {
			recorded = &recordConn{Conn: c}
			return recorded
		}
		a, b := memNode(t, mem, 1, withKeys("one")), memNode(t, mem, 2, withKeys("one"))
		a.send(b.peer, "secret")
		synctest.Wait()
		a.process()
		mem.wrap = nil
		wantMessages(t, b.received(), "secret")
		if bytes.Contains(recorded.wrote.Bytes(), []byte("secret")) {
			t.Error("the message went over the network in clear")
		}

		thief := mem.add(9)
		conn, err := thief.DialTimeout(b.peer.Addr, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		go conn.Write(recorded.wrote.Bytes())
		answer, _ := io.ReadAll(conn)
		synctest.Wait()
		wantMessages(t, b.received(), "secret")
		if len(answer) > preambleSize+maxNoise {
			t.Errorf("a replayed handshake was answered with %d bytes", len(answer))
		}
		if n := b.metric("agentctl_link_rejected_total", rejectUnproved); n != 1 {
			t.Errorf("%v replayed links are counted\n%s", n, b.log)
		}
		if n := b.metric("agentctl_link_open", "in"); n != 0 {
			t.Errorf("%v links are open", n)
		}
		conn.Close()
	})
}
