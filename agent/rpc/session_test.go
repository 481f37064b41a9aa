package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/rpcclient/wire"

	"github.com/prometheus/client_golang/prometheus"
)

func TestConversationBeforeHandshake(t *testing.T) {
	for _, cmd := range []wire.Command{wire.Members, wire.Event, wire.Auth, "nonsense"} {
		synctest.Test(t, func(t *testing.T) {
			c := servePipes(t, &fakeAgent{}, Config{}).dial(t)
			if got := c.answer(c.send(cmd, nil)); got != wire.ErrHandshakeRequired {
				t.Errorf("%s: %q", cmd, got)
			}
			c.gone()
		})
	}
}

func TestHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servePipes(t, &fakeAgent{}, Config{}).dial(t)
		for _, v := range []int32{0, 2, -1} {
			if got := c.call(wire.Handshake, wire.HandshakeRequest{Version: v}, nil); got != wire.ErrUnsupportedVersion {
				t.Errorf("version %d: %q", v, got)
			}
		}
		c.handshake()
		for range 2 * maxStrikes { // after the handshake nothing is counted
			if got := c.call(wire.Handshake, wire.HandshakeRequest{Version: 1}, nil); got != wire.ErrDuplicateHandshake {
				t.Errorf("second handshake: %q", got)
			}
		}
		if got := c.call(wire.Auth, wire.AuthRequest{AuthKey: "unasked"}, nil); got != wire.ErrInvalidAuthToken {
			t.Errorf("a key where none is set: %q", got)
		}
		c.must(wire.Auth, wire.AuthRequest{}, nil)
		c.must(wire.Event, wire.EventRequest{Name: "x"}, nil)
		if got := c.answer(c.send("nonsense", nil)); got != wire.ErrUnsupportedCommand {
			t.Errorf("unknown command: %q", got)
		}
		c.gone()
	})
}

// One request has one answer, also when its body looks like a request.
func TestRequestsBeforeAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var published []string
		a := &fakeAgent{publish: func(_ context.Context, name string, _ []byte, _ bool) error {
			published = append(published, name)
			return nil
		}}
		c := servePipes(t, a, Config{AuthKey: "secret"}).dial(t).handshake()
		if got := c.call(wire.Event, wire.RequestHeader{Command: wire.Members, Seq: 77}, nil); got != wire.ErrAuthRequired {
			t.Errorf("event before auth: %q", got)
		}
		if got := c.call(wire.Members, nil, nil); got != wire.ErrAuthRequired { // and no body
			t.Errorf("members before auth: %q", got)
		}
		if got := c.call(wire.Auth, wire.AuthRequest{AuthKey: "secre"}, nil); got != wire.ErrInvalidAuthToken {
			t.Errorf("wrong key: %q", got)
		}
		c.must(wire.Auth, wire.AuthRequest{AuthKey: "secret"}, nil)
		c.must(wire.Event, wire.EventRequest{Name: "kong"}, nil)
		if len(published) != 1 || published[0] != "kong" {
			t.Errorf("published %q", published)
		}
	})
}

func TestUnknownCommandBeforeAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servePipes(t, &fakeAgent{}, Config{AuthKey: "secret"}).dial(t).handshake()
		if got := c.answer(c.send("nonsense", nil)); got != wire.ErrAuthRequired {
			t.Errorf("%q", got)
		}
		c.gone()
	})
}

func TestWrongKeysAreSlowAndFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servePipes(t, &fakeAgent{}, Config{AuthKey: "secret"}).dial(t).handshake()
		start := time.Now()
		for range maxStrikes {
			if got := c.call(wire.Auth, wire.AuthRequest{AuthKey: "guess"}, nil); got != wire.ErrInvalidAuthToken {
				t.Fatalf("%q", got)
			}
		}
		c.gone()
		if got := time.Since(start); got != maxStrikes*guessDelay {
			t.Errorf("%d guesses took %v", maxStrikes, got)
		}
	})
}

// Many connections do not guess faster than the slots allow, also when they do
// not wait for the answers, and a client with the right key gets in.
func TestGuessesOverManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		p := servePipes(t, &fakeAgent{}, Config{AuthKey: "secret", Metrics: reg})
		start := time.Now()
		const guesses = 4 * maxGuesses
		for range guesses {
			c := p.dial(t).handshake()
			c.send(wire.Auth, wire.AuthRequest{AuthKey: "guess"})
			c.conn.Close()
		}
		c := p.dial(t).handshake()
		synctest.Wait() // the guesses are all in line
		c.must(wire.Auth, wire.AuthRequest{AuthKey: "secret"}, nil)
		if got, want := time.Since(start), guesses/maxGuesses*guessDelay; got != want {
			t.Errorf("the right key was taken after %v, want %v", got, want)
		}
		if n := counter(t, reg, "agentctl_rpc_rejected_total", rejectAuth); n != guesses {
			t.Errorf("%v wrong keys counted", n)
		}
	})
}

func TestHandshakeTimeout(t *testing.T) {
	for name, begin := range map[string]func(*client){
		"nothing":      func(*client) {},
		"half a word":  func(c *client) { c.conn.Write([]byte{0x82, 0xa7}) },
		"no auth":      func(c *client) { c.handshake() },
		"requests too": func(c *client) { c.handshake(); c.call(wire.Members, nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				c := servePipes(t, &fakeAgent{}, Config{AuthKey: "k", Metrics: reg}).dial(t)
				start := time.Now()
				begin(c)
				c.gone()
				if got := time.Since(start); got != 10*time.Second {
					t.Errorf("cut after %v", got)
				}
				synctest.Wait()
				if counter(t, reg, "agentctl_rpc_rejected_total", rejectTimeout) != 1 {
					t.Error("the timeout is not counted")
				}
			})
		})
	}
}

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

// A client that pours bytes before it has proved anything is cut at the limit,
// whether it declares a large value or sends many small ones.
func TestFloodBeforeAuth(t *testing.T) {
	const flood = 100 << 20
	for name, head := range map[string][]byte{
		"a long string": {0xdb, 0x06, 0x40, 0, 0},
		"a long array":  {0xdd, 0x06, 0x40, 0, 0},
		"ones":          {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				c := servePipes(t, &fakeAgent{}, Config{AuthKey: "k", Metrics: reg}).dial(t).handshake()
				n, err := io.Copy(c.conn, io.MultiReader(bytes.NewReader(head), io.LimitReader(ones{}, flood)))
				if err == nil || n > 64<<10 {
					t.Errorf("the server took %d bytes (%v)", n, err)
				}
				synctest.Wait()
				if counter(t, reg, "agentctl_rpc_rejected_total") == 0 {
					t.Error("not counted")
				}
			})
		})
	}
}

type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
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
		"large":     {wire.Event, wire.EventRequest{Name: "x", Payload: make([]byte, 3<<20)}, "over the limit of 1048576 bytes", nil},
		"malformed": {wire.Join, []int{1, 2, 3}, "cannot be decoded", &wire.JoinResponse{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, conn := loopback(t, &fakeAgent{}, Config{})
			cl := newClient(t, conn()).handshake()
			if got := cl.call(c.cmd, c.body, c.resp); !strings.Contains(got, c.want) {
				t.Errorf("answer %q", got)
			}
			cl.conn.(*net.TCPConn).CloseWrite()
			cl.gone()
		})
	}
}

// loopback serves on a TCP socket and returns a function that connects to it.
func loopback(t testing.TB, a Agent, cfg Config) (*Server, func() net.Conn) {
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
