package ops

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// post is one event that a gateway was sent.
type post struct {
	id, body string
}

// gateway is an HTTP server that keeps what it takes.
type gateway struct {
	*httptest.Server
	down atomic.Bool // answer 503 and take nothing

	mu    sync.Mutex
	posts []post
	tries int
}

func newGateway(t *testing.T) *gateway {
	g := new(gateway)
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries++
	if g.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Header.Get("X-Serf-Event") == "user" {
		g.posts = append(g.posts, post{r.Header.Get("X-Serf-Event-Id"), string(body)})
	}
}

// events are the user events that it took, in order.
func (g *gateway) events() []post {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]post(nil), g.posts...)
}

func (g *gateway) attempts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tries
}
