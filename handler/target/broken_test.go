package target

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/text"
	"agentctl/scripts/testkit"
)

func TestPostConnectionRefused(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	perr := fails(t, newPoster(t, Target{URL: s.URL}))
	if perr.Class != Retry || !errors.Is(perr, syscall.ECONNREFUSED) {
		t.Errorf("%v: %v", perr.Class, perr)
	}
}

// rawServer answers each connection's first request with text and then goes
// on with then.
func rawServer(t *testing.T, text string, then func(net.Conn)) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go answerRaw(l, text, then)
	return Target{URL: "http://" + l.Addr().String() + "/"}
}

// answerRaw is rawServer's loop; it ends when the listener is closed.
func answerRaw(l net.Listener, text string, then func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, text)
			then(c)
		}()
	}
}

func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

func TestPostConnectionBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		then func(net.Conn)
		want string // the reason begins with
	}{
		"closed before an answer":    {"", func(net.Conn) {}, "connection closed before an answer came"},
		"reset before an answer":     {"", reset, "connection reset before an answer came: connection reset by peer"},
		"reset in the middle of one": {"HTTP/1.1 200 OK\r\nContent-", reset, ""},
		"not HTTP":                   {"SSH-2.0-x\r\n\r\n", func(net.Conn) {}, `its answer is not HTTP, or breaks its rules: malformed HTTP response "SSH-2.0-x"`},
		"endless header":             {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 128<<10), func(net.Conn) {}, "its answer is not HTTP, or breaks its rules: server response headers exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			perr := fails(t, newPoster(t, rawServer(t, c.text, c.then)))
			if perr.Class != Retry || perr.Status != 0 || perr.Err == nil || !strings.HasPrefix(perr.Error(), c.want) {
				t.Errorf("%+v: %v, want %s", perr, perr, c.want)
			}
		})
	}
}

// The status says that the event was taken; a body that breaks off, or has no
// end, changes nothing about that.
func TestPostBodyBreaksOff(t *testing.T) {
	for name, then := range map[string]func(net.Conn){
		"reset":  reset,
		"closed": func(net.Conn) {},
		"endless": func(c net.Conn) {
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			begun(t, newPoster(t, rawServer(t, bodyBegins, then)))
		})
	}
	synctest.Test(t, func(t *testing.T) { // hangs, until the attempt is over
		listener := make(testkit.Pipes)
		defer listener.Close()
		go answerRaw(listener, bodyBegins, func(c net.Conn) { io.Copy(io.Discard, c) })
		p := newPosterOn(t, listener.Dial, Target{URL: "http://gateway"})
		began := time.Now()
		begun(t, p)
		if took := time.Since(began); took != bodyPatience {
			t.Errorf("the rest was waited for for %v, want %v", took, bodyPatience)
		}
	})
}

// An answer is its status and header: a body without an end, of whatever length it was
// to have, holds nothing up. The connection is not used again. A query waits, as its
// answer is the body.
func TestPostAnswersWithoutAnEnd(t *testing.T) {
	for name, answer := range map[string]string{
		"no length":             "HTTP/1.1 200 OK\r\n\r\n",
		"no length, HTTP/1.0":   "HTTP/1.0 200 OK\r\n\r\n",
		"no chunk":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"half a chunk":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbeg",
		"a length, and no body": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
		"a stream of events":    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n",
		"a failure":             "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\nbegin",
		"a refusal":             "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nbegin",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := make(testkit.Pipes)
				defer listener.Close()
				go answerRaw(listener, answer, func(c net.Conn) { io.Copy(io.Discard, c) })
				p := newPosterOn(t, listener.Dial, Target{URL: "http://gateway"})
				status := strings.Fields(answer)[1]
				for _, e := range []handler.Event{
					handler.NewUser(1, "kong", []byte("x"), time.Now()),
					handler.NewMember(handler.MemberJoin, "m", nil, time.Now()),
					handler.NewQuery(2, "ask", nil, time.Now()),
				} {
					patience := bodyPatience
					if e.Type == handler.Query {
						patience = p.target.Timeout
					}
					began := time.Now()
					res, err := p.Post(t.Context(), &e)
					if took := time.Since(began); took != patience {
						t.Errorf("%s: it took %v, want %v", e.Type, took, patience)
					}
					got := res.Status
					if err != nil {
						got = AsPostError(err).Status
					}
					if strconv.Itoa(got) != status {
						t.Errorf("%s: answered %d, %v; want %s", e.Type, got, err, status)
					}
					if perr := AsPostError(err); status == "503" && (string(perr.Body) != "begin" || perr.RetryAfter != 7*time.Second) {
						t.Errorf("%s: %+v", e.Type, perr)
					}
				}
			})
		})
	}
}

// A PostError tells where somebody can look whether the target is back.
func TestPostErrorsHaveTheAddress(t *testing.T) {
	for url, want := range map[string]Address{
		"http://10.0.0.1:8001/{{.key}}": {"tcp", "10.0.0.1:8001"},
		"http://gw.example/":            {"tcp", "gw.example:80"},
		"https://[::1]/x":               {"tcp", "[::1]:443"},
		"unix:/run//g.sock:/purge?x=1":  {"unix", "/run/g.sock"},
	} {
		p, err := NewPosterOn(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
		}, Target{URL: url, Flush: &FlushRequest{URL: "http://flush:1/"}})
		if err != nil {
			t.Fatal(err)
		}
		e := handler.NewUser(1, "kong", []byte(`{"key":"x"}`), time.Now())
		_, err = p.Post(t.Context(), &e)
		if perr := AsPostError(err); perr.At != want || !perr.Refused() {
			t.Errorf("%s: %+v, want it refused at %v", url, perr, want)
		}
		_, err = p.Flush(t.Context(), &e)
		if perr := AsPostError(err); perr.At != (Address{"tcp", "flush:1"}) {
			t.Errorf("%s: the flush: %+v", url, perr)
		}
		p.Close()
	}
}

// bodyBegins is the head of an answer, and of its body the beginning.
const bodyBegins = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegin"

// begun posts, and wants the answer that bodyBegins is of.
func begun(t *testing.T, p *Poster) {
	t.Helper()
	e := handler.NewUser(1, "kong", []byte("x"), time.Now())
	res, err := p.Post(t.Context(), &e)
	if err != nil || res.Status != 200 || !strings.HasPrefix(string(res.Body), "begin") || len(res.Body) > keptAnswer {
		t.Errorf("%d bytes, %v", len(res.Body), err)
	}
}

func TestPostSwitchingProtocols(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	target := rawServer(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
		func(net.Conn) { <-hold })
	target.Timeout = time.Hour // so that reading on would never end
	perr := fails(t, newPoster(t, target))
	if perr.Class != Bury || perr.Status != 101 {
		t.Errorf("%+v", perr)
	}
}

func TestPostHangs(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	target := rawServer(t, "", func(net.Conn) { <-hold })
	target.Timeout = 50 * time.Millisecond
	perr := fails(t, newPoster(t, target))
	if perr.Class != Retry || !errors.Is(perr, context.DeadlineExceeded) || !strings.Contains(perr.Error(), "within 50ms") {
		t.Errorf("%v", perr)
	}
}

func TestPostEndsWithItsContext(t *testing.T) {
	arrived, hold := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(hold) })
	ctx, cancel := context.WithCancel(t.Context())
	target := rawServer(t, "", func(net.Conn) { close(arrived); <-hold })
	target.Timeout = time.Hour
	go func() { <-arrived; cancel() }()
	e := handler.NewUser(1, "kong", []byte("x"), time.Now())
	_, err := newPoster(t, target).Post(ctx, &e)
	if _, ok := errors.AsType[*PostError](err); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestPostKeepsConnectionsBehindBodies(t *testing.T) {
	for name, c := range map[string]struct {
		size, connections int
	}{
		"no body":         {0, 1},
		"small body":      {10, 1},
		"kept to a limit": {keptAnswer, 1},
		"drained":         {drainedAnswer - 1, 1},
		"too long":        {drainedAnswer * 8, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			listener, made := make(testkit.Pipes), 0
			s := &http.Server{
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(404)
					w.Write(bytes.Repeat([]byte("x"), c.size))
				}),
				ConnState: func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						made++ // in the goroutine of Serve alone
					}
				},
			}
			ended := make(chan error)
			go func() { ended <- s.Serve(listener) }()
			p := newPosterOn(t, listener.Dial, Target{URL: "http://gateway"})
			for range 3 {
				perr := fails(t, p)
				if perr.Class != Bury || len(perr.Body) != min(c.size, keptAnswer) {
					t.Errorf("%s: %v, %d bytes", name, perr.Class, len(perr.Body))
				}
				if len(perr.Error()) > 2*text.ExcerptSize {
					t.Errorf("%s: the error has %d bytes", name, len(perr.Error()))
				}
			}
			p.Close()
			s.Close()
			<-ended
			if made != c.connections {
				t.Errorf("%s: %d connections, want %d", name, made, c.connections)
			}
		})
	}
}
