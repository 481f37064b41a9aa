package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken"

// post is a request with a body.
func post(body string) *Request {
	return &Request{
		Head: fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body)),
		Body: []byte(body), Timeout: time.Minute, Keep: 16, Read: 1024,
	}
}

// serve answers the requests of each connection: answer does what it likes with the
// connection, and ends it by returning false. It tells how many connections there were.
func serve(t *testing.T, listener net.Listener, answer func(c net.Conn, in *bufio.Reader, nth int) bool) (conns func() int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			n++
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for nth := 1; answer(c, in, nth); nth++ {
				}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); wg.Wait() })
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// take reads a request whole.
func take(in *bufio.Reader) (body []byte, err error) {
	req, err := http.ReadRequest(in)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(req.Body)
}

func answerAll(c net.Conn, in *bufio.Reader, _ int) bool {
	if _, err := take(in); err != nil {
		return false
	}
	_, err := io.WriteString(c, ok)
	return err == nil
}

func listen(t *testing.T) (net.Listener, Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, Config{Idle: 4, IdleTimeout: time.Hour, Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}}
}

func newClient(t *testing.T, c Config) *Client {
	client := New(c)
	t.Cleanup(client.Close)
	return client
}

func do(t *testing.T, c *Client, r *Request) Answer {
	t.Helper()
	a, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// One connection serves request after request, and as many are kept as may be idle.
func TestConnectionsAreKept(t *testing.T) {
	l, config := listen(t)
	arrived, hold := make(chan struct{}, 8), make(chan struct{})
	conns := serve(t, l, func(c net.Conn, in *bufio.Reader, nth int) bool {
		body, err := take(in)
		if err != nil {
			return false
		}
		if string(body) == "hold" {
			arrived <- struct{}{}
			<-hold
		}
		_, err = io.WriteString(c, ok)
		return err == nil
	})
	client := newClient(t, config)
	for range 10 {
		if a := do(t, client, post("x")); a.Status != 200 || string(a.Body) != "taken" || a.Cut {
			t.Fatalf("%+v", a)
		}
	}
	if n := conns(); n != 1 {
		t.Errorf("%d connections for ten requests one after the other", n)
	}
	for range 2 { // eight at once, of which four connections are kept
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := client.Do(t.Context(), post("hold")); err != nil {
					t.Error(err)
				}
			})
		}
		for range 8 {
			<-arrived
		}
		for range 8 {
			hold <- struct{}{}
		}
		wg.Wait()
	}
	if n := conns(); n != 8+4 {
		t.Errorf("%d connections for eight requests at once, twice; want 12", n)
	}
}

// An idle connection is closed when its time is over, and one that was used later lives
// on. Close closes the rest, and later those that are in use.
func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := make(testkit.Pipes)
		var ended []time.Duration
		var mu sync.Mutex
		began := time.Now()
		conns := serve(t, listener, func(c net.Conn, in *bufio.Reader, nth int) bool {
			if answerAll(c, in, nth) {
				return true
			}
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, time.Since(began))
			return false
		})
		client := New(Config{Idle: 4, IdleTimeout: 45 * time.Second, Dial: func(ctx context.Context) (net.Conn, error) { return listener.Dial(ctx, "", "") }})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { do(t, client, post("x")) })
		}
		wg.Wait()
		time.Sleep(30 * time.Second)
		do(t, client, post("x")) // over one of the two
		time.Sleep(44 * time.Second)
		do(t, client, post("x")) // over the same
		time.Sleep(time.Minute)
		do(t, client, post("x")) // over a third
		client.Close()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []time.Duration{45 * time.Second, 119 * time.Second, 134 * time.Second}
		testkit.Want(t, "when connections ended", ended, want)
		if n := conns(); n != 3 {
			t.Errorf("%d connections", n)
		}
	})
}

// What a server sends on an idle connection is the answer to nothing: some say 408 before
// they close it. The next request goes over a new connection.
func TestWhatNobodyAskedForIsNoAnswer(t *testing.T) {
	l, config := listen(t)
	idle, sent := make(chan struct{}), make(chan struct{})
	conns := serve(t, l, func(c net.Conn, in *bufio.Reader, nth int) bool {
		if !answerAll(c, in, nth) {
			return false
		}
		<-idle // else both may be read together
		io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
		sent <- struct{}{}
		return true
	})
	client := newClient(t, config)
	for range 3 {
		if a := do(t, client, post("x")); a.Status != 200 {
			t.Errorf("%+v", a)
		}
		idle <- struct{}{}
		<-sent
	}
	if n := conns(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// A server may answer a large request before it has read it, and then close.
func TestAnAnswerBeforeTheRequestIsRead(t *testing.T) {
	l, config := listen(t)
	serve(t, l, func(c net.Conn, in *bufio.Reader, _ int) bool {
		if _, err := http.ReadRequest(in); err != nil {
			return false
		}
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
		in.WriteTo(io.Discard)
		return false
	})
	client := newClient(t, config)
	for range 2 {
		if a := do(t, client, post(strings.Repeat("x", 8<<20))); a.Status != 413 || string(a.Body) != "big" {
			t.Errorf("%d %q", a.Status, a.Body)
		}
	}
}

// A large request is sent whole, and the connection kept.
func TestLargeRequests(t *testing.T) {
	l, config := listen(t)
	conns := serve(t, l, answerAll)
	client := newClient(t, config)
	for range 3 {
		if a := do(t, client, post(strings.Repeat("x", 8<<20))); a.Status != 200 {
			t.Errorf("%+v", a)
		}
	}
	if n := conns(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A context that ends, ends the request, wherever that is; and no later request sees
// anything of it.
func TestContextsEndRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := make(testkit.Pipes)
		serve(t, listener, func(c net.Conn, in *bufio.Reader, nth int) bool {
			body, err := take(in)
			if err != nil {
				return false
			}
			switch string(body) {
			case "x":
				_, err = io.WriteString(c, ok)
				return err == nil
			case "no body":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nt")
			}
			in.WriteTo(io.Discard)
			return false
		})
		client := newClient(t, Config{Idle: 1, IdleTimeout: time.Hour, Dial: func(ctx context.Context) (net.Conn, error) { return listener.Dial(ctx, "", "") }})
		for range 3 {
			do(t, client, post("x"))
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := client.Do(ctx, post("no answer")); err == nil || ctx.Err() == nil {
				t.Errorf("%v", err)
			}
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			if a, err := client.Do(ctx, post("no body")); err != nil || a.Status != 200 || !a.Cut {
				t.Errorf("%+v, %v", a, err)
			}
			if took := time.Since(began); took != 2*time.Second {
				t.Errorf("they ended after %v", took)
			}
			if _, err := client.Do(ctx, post("x")); err == nil {
				t.Error("an ended context makes a request")
			}
			cancel()
		}
		do(t, client, post("x"))
	})
}

// A request's time covers all: the dial, what is sent, and the answer.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := make(testkit.Pipes)
		serve(t, listener, func(c net.Conn, in *bufio.Reader, _ int) bool {
			if body, err := take(in); err != nil || string(body) == "no answer" {
				in.WriteTo(io.Discard)
				return false
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nt")
			in.WriteTo(io.Discard)
			return false
		})
		hang := func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		dial := func(ctx context.Context) (net.Conn, error) { return listener.Dial(ctx, "", "") }
		for name, c := range map[string]struct {
			dial        func(context.Context) (net.Conn, error)
			body        string
			bodyTimeout time.Duration
			took        time.Duration
			status      int
		}{
			"the dial":               {hang, "x", 0, time.Minute, 0},
			"the answer":             {dial, "no answer", 0, time.Minute, 0},
			"the body":               {dial, "x", time.Second, time.Second, 200},
			"a body without a limit": {dial, "x", 0, time.Minute, 200},
		} {
			client := New(Config{Dial: c.dial, Idle: 1, IdleTimeout: time.Hour})
			r := post(c.body)
			r.BodyTimeout = c.bodyTimeout
			began := time.Now()
			a, err := client.Do(t.Context(), r)
			if took := time.Since(began); took != c.took || a.Status != c.status || (err == nil) != (c.status == 200) {
				t.Errorf("%s: %v, %+v, %v", name, took, a, err)
			}
			client.Close()
		}
	})
}

// An answer's error says what is wrong with it, in one line and not at length.
func TestAnswerErrors(t *testing.T) {
	for answer, want := range map[string]string{
		"SSH-2.0-OpenSSH\r\n":                                `malformed HTTP response "SSH-2.0-OpenSSH"`,
		"HTTP/1.1 20x OK\r\n\r\n":                            `malformed HTTP status code "20x"`,
		"HTTP/1,1 200 OK\r\n\r\n":                            `malformed HTTP version "HTTP/1,1"`,
		"HTTP/1.1 200 OK\r\nno field\r\n\r\n":                `malformed MIME header line: "no field"`,
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n":           `bad Content-Length "x"`,
		"HTTP/1.1 200 OK\r\nServer: x":                       "unexpected end in its header",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n": `unsupported transfer encoding: "gzip"`,
		"HTTP/1.1 100 Continue\r\n\r\n" + strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 4000): "server response headers exceeded 65536 bytes",
	} {
		cn := newConn(canned{Reader: strings.NewReader(answer)})
		_, again, err := cn.exchange(t.Context(), time.Now().Add(time.Hour), post("x"))
		if wrong, is := errors.AsType[*AnswerError](err); !is || wrong.Why != want || again {
			t.Errorf("%.40q: %v, want %s", answer, err, want)
		}
	}
	cn := newConn(canned{Reader: strings.NewReader("")})
	if _, _, err := cn.exchange(t.Context(), time.Now().Add(time.Hour), post("x")); err != io.EOF {
		t.Errorf("an end without an answer: %v", err)
	}
}

// A request allocates what it returns, and what its context needs.
func TestARequestAllocatesLittle(t *testing.T) {
	const most = 5
	r := post(strings.Repeat("x", 300))
	answers := bytes.NewReader(bytes.Repeat([]byte(ok), 1200))
	client := New(Config{Idle: 1, IdleTimeout: time.Hour, Dial: func(context.Context) (net.Conn, error) { return canned{Reader: &byOne{answers}}, nil }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if n := testing.AllocsPerRun(1000, func() {
		if a, err := client.Do(ctx, r); err != nil || a.Status != 200 {
			t.Fatal(a, err)
		}
	}); n > most {
		t.Errorf("%v allocations for a request, more than %d", n, most)
	}
	client.Close()
}

// byOne gives one answer at a time.
type byOne struct{ r io.Reader }

func (b *byOne) Read(p []byte) (int, error) { return b.r.Read(p[:min(len(p), len(ok))]) }

func (canned) Close() error { return nil }
