package rpc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
)

// A client may be idle for ever between requests but not inside one.
func TestHalfRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servePipes(t, &fakeAgent{}, Config{}).dial(t).handshake()
		time.Sleep(24 * time.Hour)
		c.must(wire.Event, wire.EventRequest{Name: "x"}, nil)
		time.Sleep(24 * time.Hour)
		start := time.Now()
		if err := c.w.Write(wire.RequestHeader{Command: wire.Event, Seq: 9}, nil); err != nil {
			t.Fatal(err)
		}
		c.gone() // its body never comes
		if got := time.Since(start); got != 30*time.Second {
			t.Errorf("cut after %v", got)
		}
	})
}

// A request that is too large or makes no sense is told why, over TCP also
// while the client is still writing it, and its body is not lost on the way.
func TestUnreadableRequests(t *testing.T) {
	for name, c := range map[string]struct {
		cmd  wire.Command
		body any
		want string
		resp any
	}{
		"large":     {wire.Event, wire.EventRequest{Name: "x", Payload: make([]byte, 5<<18)}, "over the limit of 1114112 bytes", nil},
		"malformed": {wire.Join, []int{1, 2, 3}, "cannot be decoded", &wire.JoinResponse{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, conn := loopback(t, &fakeAgent{}, Config{})
			cl := newClient(t, conn()).handshake()
			cl.conn.(*net.TCPConn).SetWriteBuffer(16 << 10) // so that the client is still writing
			if got := cl.call(c.cmd, c.body, c.resp); !strings.Contains(got, c.want) {
				t.Errorf("answer %q", got)
			}
			cl.conn.(*net.TCPConn).CloseWrite()
			cl.gone()
		})
	}
}

// loopback serves on a TCP socket and returns a function that connects to it.
func loopback(t testing.TB, a agent, cfg Config) (*Server, func() net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := serve(t, a, cfg, ln)
	return s, func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// A slow command holds up the later requests of its connection, and nothing else.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		joined := make(chan struct{})
		var published bool
		a := &fakeAgent{
			join: func([]string, bool) (int, error) { <-joined; return 1, errors.New("one of two failed") },
			publish: func(context.Context, string, []byte, bool) error {
				published = true
				return nil
			},
		}
		p := servePipes(t, a, Config{})
		c := p.dial(t).handshake()
		stream := c.send(wire.Stream, wire.StreamRequest{})
		c.answer(stream)
		join := c.send(wire.Join, wire.JoinRequest{Existing: []string{"a", "b"}})
		event := join + 1
		go c.send(wire.Event, wire.EventRequest{Name: "x"}) // waits for the server to read it
		synctest.Wait()
		if published {
			t.Error("the event overtook the join")
		}
		a.emit(userEvent(1)) // streams go on
		if got := c.record(stream); got.LTime != 1 {
			t.Errorf("record %+v", got)
		}
		p.dial(t).handshake().must(wire.Members, nil, &wire.MembersResponse{}) // as do others
		close(joined)
		var resp wire.JoinResponse
		if got := c.answer(join); got != "one of two failed" {
			t.Errorf("join: %q", got)
		}
		if c.read(&resp); resp.Num != 1 {
			t.Errorf("join: %+v", resp)
		}
		if got := c.answer(event); got != "" || !published {
			t.Errorf("event: %q", got)
		}
	})
}

// Requests sent at once are answered in order, and a client that does not read
// the answers is held up, then cut.
func TestPipelining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		p := servePipes(t, &fakeAgent{}, Config{
			Metrics: reg, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		c := p.dial(t).handshake()
		const n = 1000
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range n {
				if c.w.Write(wire.RequestHeader{Command: wire.Stats, Seq: 5}, nil) != nil {
					return
				}
			}
		}()
		for range n {
			var stats map[string]map[string]string
			if got := c.answer(5); got != "" {
				t.Fatal(got)
			}
			if c.read(&stats); stats["agent"]["name"] != "fake" {
				t.Fatalf("stats %v", stats)
			}
		}
		<-written
		start := time.Now()
		var sent int
		for c.w.Write(wire.RequestHeader{Command: wire.Stats, Seq: 6}, nil) == nil {
			sent++
		}
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("cut after %v", got)
		}
		if sent > 20_000 {
			t.Errorf("%d requests were taken from a client that reads nothing", sent)
		}
		synctest.Wait()
		if counter(t, reg, "agentctl_rpc_rejected_total", rejectSlow) != 1 || !strings.Contains(log.String(), "took nothing for 10s") {
			t.Errorf("not counted and logged:\n%s", &log)
		}
	})
}

// Requests that are large and do not end hold memory, so there are only so many of them
// at a time for a client. Other clients, and small requests, do not wait for them.
func TestLargeRequestsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := 0
		a := &fakeAgent{publish: func(context.Context, string, []byte, bool) error { taken++; return nil }}
		p := newPipes()
		s, stop := serve(t, a, Config{}, p)
		var large bytes.Buffer
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(wire.NewWriter(&large).Write(wire.RequestHeader{Command: wire.Event, Seq: 7}, wire.EventRequest{Name: "kong", Payload: make([]byte, 1<<20)}))
		const each = maxLarge / 4
		took := make([]atomic.Int64, each+4)
		var all []*client
		for i := range took {
			c := p.dial(t).handshake()
			all = append(all, c)
			go func() {
				rest := large.Bytes()[:large.Len()-1] // without an end
				for len(rest) > 0 {
					n, err := c.conn.Write(rest[:min(len(rest), 4<<10)])
					if took[i].Add(int64(n)); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
		}
		synctest.Wait()
		whole := 0
		for i := range took {
			switch n := took[i].Load(); {
			case n == int64(large.Len()-1):
				whole++
			case n > wire.LargeValue+(16<<10):
				t.Errorf("%d bytes are taken of one that waits", n)
			}
		}
		if whole != each {
			t.Errorf("%d requests are read beside each other, want %d", whole, each)
		}

		p.dial(t).handshake().must(wire.Event, wire.EventRequest{Name: "small"}, nil)
		ours, theirs := net.Pipe()
		p.conns <- elsewhere{theirs}
		newClient(t, ours).handshake().must(wire.Event, wire.EventRequest{Name: "kong", Payload: make([]byte, 1<<20)}, nil)
		if taken != 2 {
			t.Errorf("%d events are taken, want those of the others", taken)
		}
		for _, c := range all {
			c.conn.Close()
		}
		synctest.Wait()
		stop()
		if len(s.larges) != 0 || len(s.large.by) != 0 {
			t.Errorf("%d slots are held when all clients are gone", len(s.larges))
		}
	})
}

// A request that has begun gets a time to end, also where its first bytes came together
// with the request before it.
func TestHalfARequestBehindAWholeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		c := servePipes(t, &fakeAgent{}, Config{Metrics: reg}).dial(t).handshake()
		var b bytes.Buffer
		if err := wire.NewWriter(&b).Write(wire.RequestHeader{Command: wire.Event, Seq: 9}, wire.EventRequest{Name: "e"}); err != nil {
			t.Fatal(err)
		}
		go c.conn.Write(append(b.Bytes(), 0x82, 0xa7)) // in one piece; the answer may come first
		c.answer(9)
		start := time.Now()
		c.gone()
		if got := time.Since(start); got != 30*time.Second {
			t.Errorf("cut after %v, want 30 s", got)
		}
		synctest.Wait()
		if counter(t, reg, "agentctl_rpc_rejected_total", rejectTimeout) != 1 {
			t.Error("the timeout is not counted")
		}
	})
}
