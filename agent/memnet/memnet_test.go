package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

const a, b = "10.0.0.1:7946", "10.0.0.2:7946"

// pair is two nodes, and a stream that the first has dialed.
func pair(t *testing.T, cfg Config) (from, to *Transport, dialed, accepted net.Conn) {
	n := New(cfg)
	from, to = n.Add(a), n.Add(b)
	taken := make(chan net.Conn, 1)
	go func() { taken <- <-to.StreamCh() }()
	dialed, err := from.DialTimeout(b, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return from, to, dialed, <-taken
}

// A stream keeps what is promised of any connection.
func TestStreamIsAConn(t *testing.T) {
	for name, cfg := range map[string]Config{"at once": {}, "with delay": {MaxDelay: time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				_, _, c1, c2 = pair(t, cfg)
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
		})
	}
}

// With delay and loss a stream's bytes come in order and whole, none before its
// time, and the end behind them.
func TestStreamComesInOrderAndLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{MinDelay: 5 * time.Millisecond, MaxDelay: 50 * time.Millisecond, Loss: 0.1, Resend: 200 * time.Millisecond}
		from, _, dialed, accepted := pair(t, cfg)
		sent := make([]byte, 300_000)
		rand.NewChaCha8([32]byte{}).Read(sent)
		began := time.Now()
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rand.N(5000))
				dialed.Write(rest[:n])
				rest = rest[n:]
				time.Sleep(time.Microsecond) // what is written at one instant arrives at one
			}
			dialed.Close()
		}()
		if n, err := accepted.Read(make([]byte, 1)); n != 1 || err != nil || time.Since(began) < cfg.MinDelay {
			t.Errorf("read %d bytes after %v: %v", n, time.Since(began), err)
		}
		got, err := io.ReadAll(accepted)
		if err != nil || !bytes.Equal(got, sent[1:]) {
			t.Errorf("%d bytes came, %v", len(got)+1, err)
		}
		if took := time.Since(began); took < cfg.Resend {
			t.Errorf("with a tenth lost all was there after %v", took)
		}
		if s := from.Sent(); s.SegmentBytes != int64(len(sent)) || s.Segments < int64(len(sent)/segment) || s.Streams != 0 || s.Packets != 0 {
			t.Errorf("counted %+v", s)
		}
		accepted.Close()
	})
}

// Streams can be left out of the counts, in both directions.
func TestStreamsThatDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to, dialed, accepted := pair(t, Config{Counts: func(first byte) bool { return first == 'l' }})
		dialed.Write([]byte("push"))
		accepted.Write([]byte("long"))
		if a, b := from.Sent(), to.Sent(); a.Segments+b.Segments != 0 || a.Streams != 1 {
			t.Errorf("counted %+v and %+v", a, b)
		}
		dialed.Close()
		accepted.Close()
	})
}

// A writer waits for a reader that does not read, at most until its deadline.
func TestStreamIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, dialed, accepted := pair(t, Config{})
		dialed.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := dialed.Write(make([]byte, 2*window))
		if n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes: %v", n, err)
		}
		accepted.Close()
		dialed.SetWriteDeadline(time.Time{})
		if n, err := dialed.Write([]byte("x")); n != 0 || err == nil {
			t.Errorf("wrote %d bytes to who has gone: %v", n, err)
		}
		dialed.Close()
	})
}

// Packets are lost as often as was asked for, and else come in their time.
func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{MinDelay: time.Millisecond, MaxDelay: 3 * time.Millisecond, Loss: 0.25})
		from, to := n.Add(a), n.Add(b)
		const sent = 1000 // as many as wait
		began := time.Now()
		for range sent {
			if _, err := from.WriteTo([]byte("packet"), b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := from.WriteTo([]byte("packet"), "10.0.0.3:7946"); err != nil {
			t.Errorf("a packet to nobody: %v", err)
		}
		time.Sleep(time.Second)
		came := len(to.PacketCh())
		if came < sent/2 || came > sent*9/10 {
			t.Errorf("%d of %d packets came, with a quarter lost", came, sent)
		}
		for range came {
			p := <-to.PacketCh()
			if d := p.Timestamp.Sub(began); d < time.Millisecond || d >= 3*time.Millisecond || string(p.Buf) != "packet" || p.From.String() != a {
				t.Fatalf("%q of %v came after %v", p.Buf, p.From, d)
			}
		}
		if s := from.Sent(); s.Packets != sent+1 || s.PacketBytes != (sent+1)*6 {
			t.Errorf("counted %+v", s)
		}
	})
}

// A closed port takes no packets, and takes streams and sends packets.
func TestClosePackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{})
		one, two := n.Add(a), n.Add(b)
		for _, closed := range [][]string{{b}, nil} {
			n.ClosePackets(closed...)
			one.WriteTo([]byte("x"), b)
			two.WriteTo([]byte("x"), a)
			if got, want := len(two.PacketCh()), 1-len(closed); got != want {
				t.Errorf("%d packets came, want %d", got, want)
			}
			if len(one.PacketCh()) != 1 {
				t.Error("a packet from a closed port did not come")
			}
			<-one.PacketCh()
			go func() { (<-two.StreamCh()).Close() }()
			c, err := one.DialTimeout(b, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	})
}

// Nobody there, one that has gone, and one that does not accept.
func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{})
		from := n.Add(a)
		if _, err := from.DialTimeout(b, time.Second); err == nil {
			t.Error("dialed nobody")
		}
		began := time.Now()
		to := n.Add(b)
		if _, err := from.DialTimeout(b, time.Second); err == nil || time.Since(began) != time.Second {
			t.Errorf("dialed who does not accept, after %v", time.Since(began))
		}
		time.AfterFunc(time.Second, func() { to.Shutdown() })
		if _, err := from.DialTimeout(b, time.Second); err == nil {
			t.Error("dialed who has gone")
		}
		if _, err := from.DialTimeout(b, time.Second); err == nil {
			t.Error("dialed who is gone")
		}
	})
}

// Nodes that were parted from the others reach each other only.
func TestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{})
		nodes := []*Transport{n.Add(a), n.Add(b), n.Add("10.0.0.3:7946")}
		reaches := func(from, to *Transport) (packet, stream bool) {
			taken := make(chan struct{})
			go func() {
				defer close(taken)
				select {
				case c := <-to.StreamCh():
					c.Close()
				case <-time.After(time.Minute):
				}
			}()
			from.WriteTo([]byte("x"), to.Addr().String())
			c, err := from.DialTimeout(to.Addr().String(), time.Second)
			if err == nil {
				c.Close()
			}
			<-taken
			select {
			case <-to.PacketCh():
				packet = true
			default:
			}
			return packet, err == nil
		}
		for _, parted := range [][]string{{a, b}, {"10.0.0.3:7946"}, {}} {
			n.Part(parted...)
			for i, from := range nodes {
				for j, to := range nodes {
					want := len(parted) == 0 || (i == 2) == (j == 2)
					if packet, stream := reaches(from, to); i != j && (packet != want || stream != want) {
						t.Errorf("%v parted: from %d to %d a packet arrives: %v, a stream: %v", parted, i, j, packet, stream)
					}
				}
			}
		}
	})
}

// What is written to a stream across a cut arrives once that is healed.
func TestAStreamAcrossACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, _, dialed, accepted := pair(t, Config{})
		defer accepted.Close()
		defer dialed.Close()
		from.net.Part(a)
		began := time.Now()
		if _, err := dialed.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { from.net.Part() })
		got := make([]byte, 4)
		if _, err := io.ReadFull(accepted, got); err != nil || string(got) != "late" || time.Since(began) != time.Minute {
			t.Errorf("%q after %v: %v", got, time.Since(began), err)
		}
		from.net.Part(a)
		accepted.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := accepted.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read with a time limit: %v", err)
		}
	})
}

// A server and a client talk over the network, whoever they are. Nobody there refuses
// at once, as does one that has closed; one that does not accept keeps the caller
// waiting as long as its context lets it.
func TestListenAndDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Config{})
		began := time.Now()
		if _, err := n.Dial(t.Context(), "tcp", a); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialed nobody: %v", err)
		}
		ln := n.Listen(a)
		if ln.Addr().String() != a {
			t.Errorf("listens on %v", ln.Addr())
		}
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(conn, conn)
			conn.Close()
		}()
		conn, err := n.Dial(t.Context(), "tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		conn.Write([]byte("echo"))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "echo" || conn.RemoteAddr().String() != a {
			t.Errorf("%q of %v, %v", got, conn.RemoteAddr(), err)
		}
		conn.Close()
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "tcp", a); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("dialed who does not accept, after %v: %v", time.Since(began), err)
		}
		time.AfterFunc(time.Second, func() { ln.Close() })
		if _, err := n.Dial(t.Context(), "tcp", a); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialed one that closes: %v", err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after the close: %v", err)
		}
		if _, err := n.Dial(t.Context(), "tcp", a); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialed one that has closed: %v", err)
		}
	})
}
