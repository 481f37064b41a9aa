package target

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// keeper is a gateway that answers the first request of each connection and
// keeps the connection, or seems to.
type keeper struct {
	Target
	closes closing

	mu     sync.Mutex
	silent bool          // it closes each connection without an answer
	conns  int           // accepted
	taken  []http.Header // of the requests that it read whole
}

// closing is what a keeper does with a connection after its first answer, and
// before it closes it.
type closing func(*keeper, net.Conn, *bufio.Reader)

func newKeeper(t *testing.T, silent bool, closes closing) *keeper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{Target: Target{URL: "http://" + l.Addr().String() + "/"}, closes: closes, silent: silent}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.mu.Lock()
			k.conns++
			k.mu.Unlock()
			wg.Go(func() { k.serve(c) })
		}
	})
	t.Cleanup(func() { // after the Poster is closed
		l.Close()
		wg.Wait()
	})
	return k
}

func (k *keeper) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	if !k.read(r) || k.isSilent() {
		return
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken")
	k.closes(k, c, r)
}

func (k *keeper) isSilent() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.silent
}

// read takes a whole request.
func (k *keeper) read(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.taken = append(k.taken, req.Header)
	return true
}

// seen are the connections so far, and the requests.
func (k *keeper) seen() (conns int, taken []http.Header) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conns, slices.Clone(k.taken)
}

func closesIdle(*keeper, net.Conn, *bufio.Reader) {}

// resetsNext begins to read the next request, and resets the connection.
func resetsNext(_ *keeper, c net.Conn, r *bufio.Reader) {
	r.Peek(1)
	reset(c)
}

// takesNext reads the next request whole, and gives no answer.
func takesNext(k *keeper, _ net.Conn, r *bufio.Reader) { k.read(r) }

// beginsNext is takesNext with the first byte of an answer.
func beginsNext(k *keeper, c net.Conn, r *bufio.Reader) {
	if k.read(r) {
		io.WriteString(c, "H")
	}
}

// A gateway that closes a kept connection has not failed: the request goes over
// a new connection at once, whatever it is for and has for a body.
func TestPostAgainWhereAKeptConnectionIsClosed(t *testing.T) {
	for name, closes := range map[string]closing{
		"idle":                            closesIdle,
		"reset when the next one arrives": resetsNext,
		"closed after the next one":       takesNext,
	} {
		t.Run(name, func(t *testing.T) {
			for what, e := range map[string]handler.Event{
				"event":       handler.NewUser(1, "kong", []byte("x"), time.Now()),
				"empty event": handler.NewUser(2, "kong", nil, time.Now()),
				"large event": handler.NewUser(3, "kong", make([]byte, 16<<20), time.Now()), // more than fits into a socket
				"query":       handler.NewQuery(4, "ask", []byte("x"), time.Now()),
			} {
				t.Run(what, func(t *testing.T) {
					k := newKeeper(t, false, closes)
					p := newPoster(t, k.Target)
					for range 3 {
						res, err := p.Post(t.Context(), &e)
						if err != nil || string(res.Body) != "taken" {
							t.Fatalf("%+v, %v", res, err)
						}
					}
					conns, taken := k.seen()
					if conns != 3 {
						t.Errorf("3 posts took %d connections, want 3, as each was closed", conns)
					}
					for _, h := range taken[1:] {
						testkit.Want(t, "header of a request sent again", h, taken[0])
					}
				})
			}
		})
	}
}

// A new connection that is closed without an answer is a failure, and so is an
// answer that breaks off: then the request is not sent again unasked.
func TestPostIsNotRepeatedAfterAFailure(t *testing.T) {
	for _, e := range []handler.Event{handler.NewUser(1, "kong", []byte("x"), time.Now()), handler.NewQuery(2, "ask", []byte("x"), time.Now())} {
		t.Run(string(e.Type), func(t *testing.T) {
			k := newKeeper(t, true, nil)
			p := newPoster(t, k.Target)
			for i := 1; i <= 3; i++ {
				_, err := p.Post(t.Context(), &e)
				if perr, ok := errors.AsType[*PostError](err); !ok || perr.Class != Retry {
					t.Errorf("a new connection: %v", err)
				}
				if conns, taken := k.seen(); conns != i || len(taken) != i {
					t.Errorf("%d posts became %d requests over %d connections", i, len(taken), conns)
				}
			}
			k = newKeeper(t, false, beginsNext)
			p = newPoster(t, k.Target)
			// On a busy machine net/http gives up a connection now and then.
			for conns, taken := 0, []http.Header(nil); len(taken) <= conns; conns, taken = k.seen() {
				if _, err := p.Post(t.Context(), &e); err == nil {
					continue
				}
				if conns, taken := k.seen(); len(taken) != conns+1 {
					t.Errorf("%d requests over %d connections: which one failed?", len(taken), conns)
				}
				return
			}
			t.Error("the request was sent again, though an answer began")
		})
	}
}

// A kept connection that breaks is followed by a new one, and if that breaks
// too the gateway has failed.
func TestPostAgainEndsWithTheFirstNewConnection(t *testing.T) {
	k := newKeeper(t, false, func(k *keeper, c net.Conn, r *bufio.Reader) {
		k.mu.Lock()
		k.silent = true
		k.mu.Unlock()
		resetsNext(k, c, r)
	})
	p := newPoster(t, k.Target)
	e := handler.NewUser(1, "kong", []byte("x"), time.Now())
	if _, err := p.Post(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	if perr := fails(t, p); perr.Class != Retry {
		t.Errorf("%v: %v", perr.Class, perr)
	}
	if conns, taken := k.seen(); conns != 2 || len(taken) != 2 {
		t.Errorf("%d requests over %d connections, want 2 over 2", len(taken), conns)
	}
}
