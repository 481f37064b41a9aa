package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
)

// failing is a listener whose Accept fails as long as broken is set.
type failing struct {
	*pipes
	broken   atomic.Bool
	attempts atomic.Int64
}

func (f *failing) Accept() (net.Conn, error) {
	if f.broken.Load() {
		f.attempts.Add(1)
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.pipes.Accept()
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ln := &failing{pipes: newPipes()}
		ln.broken.Store(true)
		_, stop := serve(t, &fakeAgent{}, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, ln)
		time.Sleep(2*time.Minute - time.Millisecond)
		if n := ln.attempts.Load(); n < 120 || n > 130 {
			t.Errorf("%d attempts in two minutes", n)
		}
		if n := strings.Count(log.String(), "too many open files"); n != 2 {
			t.Errorf("%d lines in two minutes:\n%s", n, &log)
		}
		ln.broken.Store(false)
		ln.dial(t).handshake() // it goes on
		ln.broken.Store(true)
		ln.dial(t) // the Accept that waits is still a good one
		synctest.Wait()
		before := ln.attempts.Load()
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if n := ln.attempts.Load() - before; n != 2 { // after 5 and 15 ms: the pause starts anew
			t.Errorf("%d attempts in 20 ms", n)
		}
		start := time.Now()
		stop()
		if time.Since(start) != 0 {
			t.Error("Serve waited for its pause before it returned")
		}
	})
}

func TestListenerClosedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		done := make(chan error)
		go func() { done <- New(backend(&fakeAgent{}), Config{}).Serve(t.Context(), ln) }()
		c := ln.dial(t).handshake()
		ln.Close()
		c.gone()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// Clients that have not shown the key are given up for others, and where there is none
// those that ask for nothing: the one first that has waited longest. Clients that work
// stay.
func TestMaxClients(t *testing.T) {
	const most, flood = 4, 100
	for name, tt := range map[string]struct {
		key        string
		work, wait func(c *client)
	}{
		"with a key": {"k",
			func(c *client) { c.must(wire.Auth, wire.AuthRequest{AuthKey: "k"}, nil) },
			func(c *client) {}},
		"without": {"",
			func(c *client) { c.must(wire.Stream, wire.StreamRequest{}, nil) },
			func(c *client) { c.must(wire.Members, nil, &wire.MembersResponse{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				var log syncBuffer
				p := servePipes(t, &fakeAgent{}, Config{AuthKey: tt.key, maxClients: most, maxEach: most, Metrics: reg,
					Logger: slog.New(slog.NewTextHandler(&log, nil))})
				var working, waiting []*client
				work := func() {
					c := p.dial(t).handshake()
					tt.work(c)
					working = append(working, c)
					synctest.Wait() // it is known to work or to wait only after its answer
				}
				work()
				for range flood {
					c := p.dial(t).handshake()
					tt.wait(c)
					waiting = append(waiting, c)
					synctest.Wait()
				}
				for range most - 1 {
					work()
				}
				for _, c := range waiting {
					c.gone()
				}
				p.dial(t).gone() // there is no room
				synctest.Wait()
				for _, c := range working {
					c.must(wire.Stop, wire.StopRequest{Stop: 99}, nil)
				}
				for reason, want := range map[string]float64{rejectWaiting: flood, rejectClients: 1} {
					if n := counter(t, reg, "agentctl_rpc_rejected_total", reason); n != want {
						t.Errorf("%s: %v are counted, want %v", reason, n, want)
					}
				}
				if n := counter(t, reg, "agentctl_rpc_clients"); n != most {
					t.Errorf("%v clients are counted", n)
				}
				if n := strings.Count(log.String(), "rpc: client refused"); n != 1 {
					t.Errorf("%d lines in one moment:\n%s", n, log.String())
				}
			})
		})
	}
}

// One address does not get all connections, whatever its clients do.
func TestClientsOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, &fakeAgent{}, Config{maxClients: 4})
		for range 3 {
			p.dial(t).handshake().must(wire.Stream, wire.StreamRequest{}, nil)
		}
		p.dial(t).gone()
		ours, theirs := net.Pipe()
		p.conns <- elsewhere{theirs}
		newClient(t, ours).handshake().must(wire.Stream, wire.StreamRequest{}, nil)
	})
}

// elsewhere is a connection from another address than that of pipes.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1} }

// Serve ends with its context: with clients that wait, stream, do not read, or
// have sent half a request.
func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		p := newPipes()
		_, stop := serve(t, a, Config{AuthKey: ""}, p)
		idle, half, stream, stuck := p.dial(t), p.dial(t), p.dial(t).handshake(), p.dial(t).handshake()
		half.conn.Write([]byte{0x82, 0xa7})
		stream.must(wire.Stream, wire.StreamRequest{}, nil)
		stuck.must(wire.Stream, wire.StreamRequest{}, nil)
		stuck.must(wire.Monitor, wire.MonitorRequest{LogLevel: "DEBUG"}, nil)
		a.emit(userEvent(1))
		stream.record(stream.seq)
		synctest.Wait()
		start := time.Now()
		stop()
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		for _, c := range []*client{idle, half, stream, stuck} {
			c.gone()
		}
		if n := a.subscriptions(); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// One server on two listeners subscribes once, for all streams of both.
func TestTwoListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		s := New(backend(a), Config{})
		one, two := newPipes(), newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- s.Serve(ctx, one) }()
		go func() { done <- s.Serve(t.Context(), two) }()
		c := two.dial(t).handshake()
		seq := c.send(wire.Stream, wire.StreamRequest{})
		c.answer(seq)
		synctest.Wait()
		if n := a.subscriptions(); n != 1 {
			t.Errorf("%d subscriptions", n)
		}
		cancel()
		<-done
		a.emit(userEvent(4))
		if got := c.record(seq).LTime; got != 4 {
			t.Errorf("got %d", got)
		}
		two.Close()
		<-done
		if n := a.subscriptions(); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// The end of a subscription waits for a call that is under way.
func TestDetachWhileEventsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		a.onEvents = func() { a.emit(userEvent(1)) }
		p := newPipes()
		_, stop := serve(t, a, Config{}, p)
		c := p.dial(t).handshake()
		c.must(wire.Stream, wire.StreamRequest{}, nil)
		stop()
	})
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	serve(t, &fakeAgent{}, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, ln)
	for range 2 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, conn).handshake()
		c.must(wire.Members, nil, &wire.MembersResponse{})
		if got := c.answer(c.send("nonsense", nil)); got != wire.ErrUnsupportedCommand {
			t.Error(got)
		}
		c.gone()
	}
	testkit.WaitFor(t, "the log to name the client", func() bool { return strings.Contains(log.String(), "client=unix#1") })
}

// The server notices a client that resets its connection, and one that only
// ends its sending side still gets its answers.
func TestHalfClose(t *testing.T) {
	a := &fakeAgent{publish: func(ctx context.Context, _ string, _ []byte, _ bool) error { return ctx.Err() }}
	_, dial := loopback(t, a, Config{})
	c := newClient(t, dial()).handshake()
	const n = 100
	for range n {
		c.send(wire.Event, wire.EventRequest{Name: "x"})
	}
	c.conn.(*net.TCPConn).CloseWrite()
	for i := range uint64(n) {
		if got := c.answer(i + 2); got != "" {
			t.Fatal(got)
		}
	}
	if err := c.r.Read(nil); err != io.EOF {
		t.Errorf("after the answers: %v", err)
	}
}

func TestLeave(t *testing.T) {
	for name, fail := range map[string]error{"well": nil, "badly": errors.New("no quorum")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left, down atomic.Bool
				ctx, cancel := context.WithCancel(t.Context())
				a := &fakeAgent{
					leave:    func() error { left.Store(true); return fail },
					shutdown: func() { down.Store(true); cancel() },
				}
				p := newPipes()
				done := make(chan error)
				go func() { done <- New(backend(a), Config{}).Serve(ctx, p) }()
				c := p.dial(t).handshake()
				seq := c.send(wire.Leave, nil)
				synctest.Wait()
				if !left.Load() || down.Load() {
					t.Fatalf("before the answer was read: left %v, down %v", left.Load(), down.Load())
				}
				want := ""
				if fail != nil {
					want = fail.Error()
				}
				if got := c.answer(seq); got != want {
					t.Errorf("answer %q", got)
				}
				answered := time.Now()
				synctest.Wait()
				if down.Load() {
					t.Error("down before the client has gone: it may take that for an error")
				}
				wait := time.Duration(0)
				if fail == nil {
					c.conn.Close()
				} else {
					wait = goodbye // one that stays
				}
				if err := <-done; err != nil || !down.Load() {
					t.Errorf("down %v, Serve: %v", down.Load(), err)
				}
				if took := time.Since(answered); took != wait {
					t.Errorf("down %v behind the answer, want %v", took, wait)
				}
			})
		})
	}
}

// A client that sends more behind its leave is answered as long as the agent is there.
func TestRequestBehindALeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{leave: func() error { return nil }, shutdown: func() {}}
		c := servePipes(t, a, Config{}).dial(t).handshake()
		c.call(wire.Leave, nil, nil)
		var stats map[string]map[string]string
		if got := c.call(wire.Stats, nil, &stats); got != "" || stats["agent"]["name"] != "fake" {
			t.Errorf("%q, %v", got, stats)
		}
	})
}

// A client that asks for a leave and goes away is granted it.
func TestLeaveOfAVanishedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := make(chan struct{})
		a := &fakeAgent{
			leave:    func() error { time.Sleep(3 * time.Second); return nil },
			shutdown: func() { close(down) },
		}
		c := servePipes(t, a, Config{}).dial(t).handshake()
		c.send(wire.Leave, nil)
		c.conn.Close()
		<-down
	})
}
