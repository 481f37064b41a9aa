package link

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/memnet"
)

// Whatever a stranger sends, it is closed within the time for a handshake,
// counted, and has cost nothing that stays; a peer is served before and after.
func TestStrangers(t *testing.T) {
	key := newPSK(testKey("one"))
	plainHello := preamble{lo: 1, hi: 1}.encode()
	random := make([]byte, 4096)
	rand.NewChaCha8([32]byte{}).Read(random)
	for name, c := range map[string]struct {
		keyed   bool
		send    []byte
		pause   time.Duration // between two bytes
		reasons []string
	}{
		"silence":                 {keyed: true, send: []byte{magic}, reasons: []string{rejectTimeout}},
		"random bytes":            {keyed: true, send: append([]byte{magic}, random...), reasons: []string{rejectMalformed}},
		"no versions":             {keyed: true, send: []byte{magic, 0, 0, 1, 0, 0}, reasons: []string{rejectMalformed}},
		"versions upside down":    {keyed: true, send: []byte{magic, 2, 1, 1, 0, 0}, reasons: []string{rejectMalformed}},
		"newer versions":          {keyed: true, send: []byte{magic, 2, 9, 1, 0, 0}, reasons: []string{rejectVersion}},
		"unknown mode":            {keyed: true, send: []byte{magic, 1, 1, 7, 0, 0}, reasons: []string{rejectMalformed}},
		"handshake of 64 KiB":     {keyed: true, send: append([]byte{magic, 1, 1, 1, 255, 255}, make([]byte, 1<<16)...), reasons: []string{rejectMalformed}},
		"handshake of 48 zeros":   {keyed: true, send: append([]byte{magic, 1, 1, 1, 0, 48}, make([]byte, 48)...), reasons: []string{rejectWrongKey}},
		"handshake of no bytes":   {keyed: true, send: []byte{magic, 1, 1, 1, 0, 0}, reasons: []string{rejectWrongKey}},
		"a byte each 500 ms":      {keyed: true, send: append([]byte{magic, 1, 1, 1, 0, 48}, make([]byte, 48)...), pause: 500 * time.Millisecond, reasons: []string{rejectTimeout}},
		"no key":                  {keyed: true, send: plainHello, reasons: []string{rejectNoKey}},
		"right key, then zeros":   {keyed: true, send: handshakeAnd(key, make([]byte, 100)), reasons: []string{rejectMalformed}},
		"right key, then garbage": {keyed: true, send: handshakeAnd(key, append([]byte{0, 99}, make([]byte, 99)...)), reasons: []string{rejectUnproved}},
		"right key, long record":  {keyed: true, send: handshakeAnd(key, []byte{255, 255, 0}), reasons: []string{rejectMalformed}},
		"plain, hello too long":   {send: append(bytes.Clone(plainHello), 255, 255), reasons: []string{rejectMalformed}},
		"plain, hello of zeros":   {send: append(bytes.Clone(plainHello), make([]byte, 1000)...), reasons: []string{rejectMalformed}},
		"plain, a keyed one":      {send: append([]byte{magic, 1, 1, 1, 0, 1}, 7), reasons: []string{rejectNoKeyring}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				var keys func(*Config)
				if c.keyed {
					keys = withKeys("zero", "one")
				}
				a, b := memNode(t, mem, 1, keys), memNode(t, mem, 2, keys)
				a.send(b.peer, "before")
				time.Sleep(time.Second)
				begin := time.Now()
				conn := dialed(t, mem, 5, b)
				go func() {
					if c.pause == 0 {
						conn.Write(c.send)
						return
					}
					for _, one := range c.send {
						conn.Write([]byte{one})
						time.Sleep(c.pause)
					}
				}()
				answer, _ := io.ReadAll(conn)
				if open := time.Since(begin); open > 4*time.Second { // 3 for the handshake, at most 1 to begin
					t.Errorf("it was open for %v", open)
				}
				if len(answer) > preambleSize+maxNoise {
					t.Errorf("it was answered with %d bytes", len(answer))
				}
				synctest.Wait()
				for _, reason := range c.reasons {
					if n := b.metric("agentctl_link_rejected_total", reason); n != 1 {
						t.Errorf("%v are counted as %s; log:\n%s", n, reason, b.log)
					}
				}
				a.send(b.peer, "after")
				time.Sleep(30 * time.Second)
				wantMessages(t, b.received(), "before", "after")
				if n := b.metric("agentctl_link_open", "in"); n != 1 {
					t.Errorf("%v links are open, not that of the peer alone", n)
				}
			})
		})
	}
}

// handshakeAnd begins a link with a key, and goes on with anything.
func handshakeAnd(key psk, then []byte) []byte {
	p := preamble{lo: 1, hi: 1, code: modeNoise}
	state, err := newNoise(key, true, p.prologue())
	if err != nil {
		panic(err)
	}
	if p.noise, _, _, err = state.WriteMessage(nil, nil); err != nil {
		panic(err)
	}
	return append(p.encode(), then...)
}

// A thousand strangers at once hold no more than their slots, whom they do not
// leave to peers while they are there: those come again, and are served soon
// after. The log has a few lines, and the streams of memberlist do not wait.
func TestAThousandStrangers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, withKeys("one")), memNode(t, mem, 2, withKeys("one"))
		before := runtime.NumGoroutine()
		for i := range 1000 {
			conn := dialed(t, mem, i%100, b)
			go conn.Write([]byte{magic, 1})
		}
		synctest.Wait()
		b.transport.unproved.mu.Lock()
		inside := b.transport.unproved.n
		b.transport.unproved.mu.Unlock()
		if inside != 64 {
			t.Errorf("%d strangers are inside, not 64", inside)
		}
		a.send(b.peer, "late")
		go dialed(t, mem, 200, b).Write([]byte{6})
		begin := time.Now()
		(<-b.Transport().StreamCh()).Close()
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("memberlist waited %v for its stream", waited)
		}
		time.Sleep(15 * time.Second)
		wantMessages(t, b.received(), "late")
		if n := b.metric("agentctl_link_rejected_total", rejectStrangers); n < 900 {
			t.Errorf("%v strangers were turned away", n)
		}
		if n := b.metric("agentctl_link_rejected_total", rejectTimeout); n != 64 {
			t.Errorf("%v strangers ran out of time, not 64", n)
		}
		if lines := strings.Count(b.log.String(), "level=WARN"); lines > 20 {
			t.Errorf("%d lines in the log", lines)
		}
		if after := runtime.NumGoroutine(); after > before+20 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
	})
}

// One host has no more than its own slots.
func TestStrangersOfOneHost(t *testing.T) {
	b := netNode(t, "b", func(c *Config) { c.handshakeTimeout = patience })
	var conns []net.Conn
	for range 17 {
		conn, err := net.Dial("tcp", b.peer.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte{magic})
		conns = append(conns, conn)
		if len(conns) == 16 {
			waitFor(t, "all slots to be taken", func() bool {
				b.transport.unproved.mu.Lock()
				defer b.transport.unproved.mu.Unlock()
				return b.transport.unproved.n == 16
			})
		}
	}
	conns[16].SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(conns[16]); err != nil || !bytes.Equal(got, b.transport.busy) {
		t.Errorf("the 17th stream was answered with %v, %v", got, err)
	}
	b.stop()
}

// Anyone is trusted without a keyring, and yet limited: in frames, messages,
// streams and acknowledgements.
func TestPlainPeersKeepTheLimits(t *testing.T) {
	frame := func(kind byte, flags uint16, stream, length uint32, body ...byte) []byte {
		b := []byte{0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(b[2:], flags)
		binary.BigEndian.PutUint32(b[4:], stream)
		binary.BigEndian.PutUint32(b[8:], length)
		return append(b, body...)
	}
	events := func(body ...byte) []byte {
		body = append([]byte{byte(kindEvents), 1}, body...)
		return frame(0, 1, 1, uint32(len(body)), body...)
	}
	var streams []byte
	for i := range uint32(5000) {
		streams = append(streams, frame(1, 1, 2*i+1, 0)...)
	}
	for name, c := range map[string]struct {
		send []byte
		open bool // whether the link may stay
	}{
		"no frame":             {send: []byte("GET / HTTP/1.1\r\n\r\n")},
		"a frame of 4 GiB":     {send: frame(0, 1, 1, 1<<32-1)},
		"a message of 4 GiB":   {send: events(0x80, 0x80, 0x80, 0x80, 0x10)},
		"a number without end": {send: events(bytes.Repeat([]byte{0xff}, 50)...)},
		"the number 0":         {send: frame(0, 1, 1, 2, byte(kindEvents), 0)},
		"5000 streams":         {send: streams, open: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				b := memNode(t, mem, 1, nil)
				conn := dialed(t, mem, 1, b)
				go io.Copy(io.Discard, conn)
				conn.Write(preamble{lo: 1, hi: 1}.encode())
				testParty("odd").self.write(conn)
				synctest.Wait()
				if n := b.metric("agentctl_link_open", "in"); n != 1 {
					t.Fatalf("%v links are open", n)
				}
				go conn.Write(c.send)
				synctest.Wait()
				if n := b.metric("agentctl_link_open", "in"); n > 0 && !c.open {
					t.Error("the link is still open")
				}
				if n := runtime.NumGoroutine(); n > 100 {
					t.Errorf("%d goroutines", n)
				}
				wantMessages(t, b.received())
			})
		})
	}
}

// connFrom is a stream of which only the far address is known.
type connFrom struct {
	net.Conn
	addr net.Addr
}

func (c connFrom) RemoteAddr() net.Addr { return c.addr }

// Ports do not make hosts, in either family; what has no port is a host itself.
func TestHostOf(t *testing.T) {
	for addr, want := range map[memnet.Addr]string{
		"10.0.0.1:7946": "10.0.0.1", "[fe80::1%eth0]:5": "fe80::1%eth0", "[::1]:7946": "::1", "pipe": "pipe", "": "",
	} {
		if got := hostOf(connFrom{addr: addr}); got != want {
			t.Errorf("the host of %q is %q, not %q", addr, got, want)
		}
	}
}
