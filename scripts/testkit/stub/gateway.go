package stub

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

// Post is a request that a gateway got.
type Post struct {
	Path   string
	Header http.Header
	Body   []byte
	status int  // of the answer; 0 where there was none
	Lost   bool // the answer, as the gateway died before it
	At     time.Time
}

func (p Post) String() string {
	return fmt.Sprintf("%d to %s %s: %q", p.status, p.Header.Get("X-Serf-Event"), p.Header.Get("X-Serf-Event-Id"), p.Body)
}

// Bodies are the payloads of posts, in order.
func Bodies(posts []Post) []string {
	out := make([]string, len(posts))
	for i, p := range posts {
		out[i] = string(p.Body)
	}
	return out
}

// Gateway is a small HTTP server that records what is posted to it and answers
// as it is told: 200 at first.
type Gateway struct {
	Addr string

	mu       sync.Mutex
	listener net.Listener // nil while it refuses connections
	server   *http.Server
	status   int  // to answer with; 0: not at all
	mortal   bool // it does its work and dies before it answers
	header   http.Header
	Judge    func(body []byte) int // a status for some bodies, 0 for the rest; may be nil
	posts    []Post
	turned   chan struct{} // closed when what to answer changes
}

// NewGateway starts a gateway on a free port of loopback; close ends it.
func NewGateway() (*Gateway, error) { return NewGatewayAt("127.0.0.1:0") }

// NewGatewayAt is NewGateway at an address of one's own, host:port or the path
// of a unix socket. While the gateway refuses, nobody else may take it.
func NewGatewayAt(addr string) (*Gateway, error) {
	g := &Gateway{Addr: addr, status: http.StatusOK, turned: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.listen(); err != nil {
		return nil, err
	}
	g.Addr = g.listener.Addr().String()
	return g, nil
}

// URL is where events are to be posted.
func (g *Gateway) URL() string {
	if filepath.IsAbs(g.Addr) {
		return "unix:" + g.Addr + ":/cluster/events/"
	}
	return "http://" + g.Addr + "/cluster/events/"
}

// listen opens the gateway's port. g.mu is held.
func (g *Gateway) listen() error {
	network := "tcp"
	if filepath.IsAbs(g.Addr) {
		network = "unix"
	}
	ln, err := net.Listen(network, g.Addr)
	if err != nil {
		return err
	}
	g.listener = ln
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve), ReadHeaderTimeout: time.Minute}
	go g.server.Serve(ln) // it returns when closed
	return nil
}

func (g *Gateway) Close() { g.Refuse() }

// turn changes what is answered, and is called with g.mu held. Requests that
// wait for an answer lose their connection.
func (g *Gateway) turn(status int, header http.Header) {
	g.status, g.header, g.mortal = status, header, false
	close(g.turned)
	g.turned = make(chan struct{})
}

// Answer makes the gateway answer with a status and these headers, in pairs.
func (g *Gateway) Answer(status int, header ...string) error {
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

// Hang makes the gateway take requests and not answer them.
func (g *Gateway) Hang() error { return g.Answer(0) }

// Perish makes the gateway take events and die before it answers, each time.
func (g *Gateway) Perish() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(http.StatusOK, nil)
	g.mortal = true
	if g.listener == nil {
		return g.listen()
	}
	return nil
}

// Refuse makes the gateway refuse connections, and ends those that it has.
func (g *Gateway) Refuse() {
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
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	g.mu.Lock()
	status, turned, lost := g.status, g.turned, g.mortal
	for k, v := range g.header {
		w.Header()[k] = v
	}
	if g.Judge != nil {
		if s := g.Judge(body); s != 0 {
			status = s
		}
	}
	g.posts = append(g.posts, Post{r.Method + " " + r.URL.Path, r.Header.Clone(), body, status, lost, time.Now()})
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

// Answered are the requests so far that got this status, in order; 0 for
// those that got no answer.
func (g *Gateway) Answered(status int) []Post {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Post
	for _, p := range g.posts {
		if p.status == status {
			out = append(out, p)
		}
	}
	return out
}

// Count is the number of requests so far.
func (g *Gateway) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.posts)
}

// Taken are the events that the gateway took.
func (g *Gateway) Taken() []Post { return g.Answered(http.StatusOK) }

// TakenUser are the user events among them: all but member events.
func (g *Gateway) TakenUser() []Post {
	return slices.DeleteFunc(g.Taken(), func(p Post) bool { return p.Header.Get("X-Serf-Event") != "user" })
}
