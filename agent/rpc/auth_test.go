package rpc

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
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

// Wrong keys of one client hold up no other client.
func TestGuessesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, &fakeAgent{}, Config{AuthKey: "secret"})
		start := time.Now()
		for range 4 * maxGuesses {
			p.dial(t).handshake().send(wire.Auth, wire.AuthRequest{AuthKey: "guess"})
		}
		synctest.Wait()
		ours, theirs := net.Pipe()
		p.conns <- elsewhere{theirs}
		newClient(t, ours).handshake().must(wire.Auth, wire.AuthRequest{AuthKey: "secret"}, nil)
		if got := time.Since(start); got != 0 {
			t.Errorf("the right key was taken after %v", got)
		}
	})
}

// A client does not guess faster by having its own connections given up.
func TestGuessesOfConnectionsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		p := servePipes(t, &fakeAgent{}, Config{AuthKey: "secret", maxClients: 2 * maxGuesses, Metrics: reg})
		start := time.Now()
		for range 8 * maxGuesses {
			p.dial(t).handshake().send(wire.Auth, wire.AuthRequest{AuthKey: "guess"})
			synctest.Wait()
		}
		if given := counter(t, reg, "agentctl_rpc_rejected_total", rejectWaiting); given == 0 || time.Since(start) != 0 {
			t.Fatalf("%v connections were given up, after %v", given, time.Since(start))
		}
		if n := counter(t, reg, "agentctl_rpc_rejected_total", rejectAuth); n != maxGuesses {
			t.Errorf("%v keys were looked at, want %d", n, maxGuesses)
		}
	})
}

// The answers that are delayed are bounded over all clients, and a right key waits for
// none of them.
func TestGuessesOfManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		s, _ := serve(t, &fakeAgent{}, Config{AuthKey: "secret"}, p)
		for range maxWrong {
			s.wrong <- struct{}{}
		}
		wrong, right := p.dial(t).handshake(), p.dial(t).handshake()
		seq := wrong.send(wire.Auth, wire.AuthRequest{AuthKey: "guess"})
		right.must(wire.Auth, wire.AuthRequest{AuthKey: "secret"}, nil)
		time.Sleep(2 * guessDelay)
		start := time.Now()
		<-s.wrong
		if got := wrong.answer(seq); got != wire.ErrInvalidAuthToken || time.Since(start) != guessDelay {
			t.Errorf("the wrong key is answered with %q after %v", got, time.Since(start))
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
