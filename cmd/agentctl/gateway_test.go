package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// post is a request that a gateway got.
type post struct {
	path   string
	header http.Header
	body   []byte
	status int  // of the answer; 0 where there was none
	lost   bool // the answer, as the gateway died before it
	at     time.Time
}

func (p post) String() string {
	return fmt.Sprintf("%d to %s %s: %q", p.status, p.header.Get("X-Serf-Event"), p.header.Get("X-Serf-Event-Id"), p.body)
}

// gateway is a small HTTP server that records what is posted to it and answers
// as it is told: 200 at first.
type gateway struct {
	addr string

	mu       sync.Mutex
	listener net.Listener // nil while it refuses connections
	server   *http.Server
	status   int  // to answer with; 0: not at all
	mortal   bool // it does its work and dies before it answers
	header   http.Header
	judge    func(body []byte) int // a status for some bodies, 0 for the rest; may be nil
	posts    []post
	turned   chan struct{} // closed when what to answer changes
}

// newGateway starts a gateway on a free port of loopback; close ends it.
func newGateway() (*gateway, error) { return newGatewayAt("127.0.0.1:0") }

// newGatewayAt is newGateway at an address of one's own, host:port or the path
// of a unix socket. While the gateway refuses, nobody else may take it.
func newGatewayAt(addr string) (*gateway, error) {
	g := &gateway{addr: addr, status: http.StatusOK, turned: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.listen(); err != nil {
		return nil, err
	}
	g.addr = g.listener.Addr().String()
	return g, nil
}

// url is where events are to be posted.
func (g *gateway) url() string {
	if filepath.IsAbs(g.addr) {
		return "unix:" + g.addr + ":/cluster/events/"
	}
	return "http://" + g.addr + "/cluster/events/"
}

// listen opens the gateway's port. g.mu is held.
func (g *gateway) listen() error {
	network := "tcp"
	if filepath.IsAbs(g.addr) {
		network = "unix"
	}
	ln, err := net.Listen(network, g.addr)
	if err != nil {
		return err
	}
	g.listener = ln
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve), ReadHeaderTimeout: time.Minute}
	go g.server.Serve(ln) // it returns when closed
	return nil
}

func (g *gateway) close() { g.refuse() }

// turn changes what is answered, and is called with g.mu held. Requests that
// wait for an answer lose their connection.
func (g *gateway) turn(status int, header http.Header) {
	g.status, g.header, g.mortal = status, header, false
	close(g.turned)
	g.turned = make(chan struct{})
}

// answer makes the gateway answer with a status and these headers, in pairs.
func (g *gateway) answer(status int, header ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := http.Header{}
	for pair := range slices.Chunk(header, 2) {
		h.Set(pair[0], pair[1])
	}
	g.turn(status, h)
	if g.listener == nil {
		return g.listen()
	}
	return nil
}

// hang makes the gateway take requests and not answer them.
func (g *gateway) hang() error { return g.answer(0) }

// perish makes the gateway take events and die before it answers, each time.
func (g *gateway) perish() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(http.StatusOK, nil)
	g.mortal = true
	if g.listener == nil {
		return g.listen()
	}
	return nil
}

// refuse makes the gateway refuse connections, and ends those that it has.
func (g *gateway) refuse() {
	g.mu.Lock()
	server := g.server
	g.listener, g.server = nil, nil
	g.turn(0, nil)
	g.mu.Unlock()
	if server != nil {
		// Not while a child is being started: it has the listener, too, until its
		// program runs, and nobody could listen here again.
		syscall.ForkLock.RLock()
		server.Close()
		syscall.ForkLock.RUnlock()
	}
}

// serve records a request and answers it.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	g.mu.Lock()
	status, turned, lost := g.status, g.turned, g.mortal
	for k, v := range g.header {
		w.Header()[k] = v
	}
	if g.judge != nil {
		if s := g.judge(body); s != 0 {
			status = s
		}
	}
	g.posts = append(g.posts, post{r.Method + " " + r.URL.Path, r.Header.Clone(), body, status, lost, time.Now()})
	g.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // the connection ends with no answer
	}
	if status == 0 {
		select {
		case <-turned:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler) // the connection ends with no answer
	}
	w.WriteHeader(status)
}

// answered are the requests so far that got this status, in order; 0 for
// those that got no answer.
func (g *gateway) answered(status int) []post {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []post
	for _, p := range g.posts {
		if p.status == status {
			out = append(out, p)
		}
	}
	return out
}

// count is the number of requests so far.
func (g *gateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.posts)
}

// taken are the events that the gateway took.
func (g *gateway) taken() []post { return g.answered(http.StatusOK) }

// takenUser are the user events among them: all but member events.
func (g *gateway) takenUser() []post {
	return slices.DeleteFunc(g.taken(), func(p post) bool { return p.header.Get("X-Serf-Event") != "user" })
}
