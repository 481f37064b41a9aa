package testkit

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// Post is one event that a gateway was sent.
type Post struct {
	Type, Name, ID, Body string
}

// Gateway is an HTTP server that keeps what it takes.
type Gateway struct {
	*httptest.Server
	Down atomic.Bool // answer 503 and take nothing

	mu    sync.Mutex
	posts []Post
	tries int
}

// NewGateway starts a gateway on a loopback port. The end of the test stops it.
func NewGateway(t *testing.T) *Gateway {
	g := new(Gateway)
	g.Server = Serve(t, g.ServeHTTP)
	return g
}

// NewGatewayOn is NewGateway on a listener, such as one in memory.
func NewGatewayOn(t *testing.T, ln net.Listener) *Gateway {
	g := new(Gateway)
	g.Server = ServeOn(t, ln, g.ServeHTTP)
	return g
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries++
	if g.Down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h := r.Header
	g.posts = append(g.posts, Post{h.Get("X-Serf-Event"), h.Get("X-Serf-Event-Name"), h.Get("X-Serf-Event-Id"), string(body)})
}

// Posts are the events that it took, in order.
func (g *Gateway) Posts() []Post {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.posts)
}

// Of are the posts of a type, in order.
func (g *Gateway) Of(typ string) (out []Post) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.posts {
		if p.Type == typ {
			out = append(out, p)
		}
	}
	return out
}

// Attempts is how many requests it got, whatever it answered.
func (g *Gateway) Attempts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tries
}
