package delivery

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// The whole way over real connections: a gateway that refuses for a while,
// breaks connections, and then takes everything, gets it in order.
func TestDeliveryOverHTTP(t *testing.T) {
	var mu sync.Mutex // each connection has its own goroutine
	var ids []string
	attempts, broken := 0, 0
	s := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		attempts++
		switch {
		case attempts%7 == 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case attempts%7 == 5:
			broken++
			panic(http.ErrAbortHandler) // net/http breaks the connection
		case err != nil || string(body) != testkit.Strange:
			w.WriteHeader(http.StatusBadRequest)
		default:
			ids = append(ids, r.Header.Get("X-Serf-Event-Id"))
		}
	})
	j := journal.New(journal.Config{})
	d, err := New(Config{
		Target:  target.Target{URL: s.URL, MinBackoff: time.Microsecond, MaxBackoff: time.Millisecond, Timeout: time.Minute},
		Journal: j,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	var wanted []string
	for i := range uint64(100) {
		e := handler.NewUser(i, "kong", []byte(testkit.Strange), time.Now())
		wanted = append(wanted, e.ID)
		journals.MustAppend(t, j, e)
	}
	if err := d.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	testkit.Want(t, "taken", ids, wanted)
	status := d.Status()
	// A kept connection that breaks makes no attempt of its own.
	if counted := int(status.Delivered + status.Retried); counted > attempts || counted < attempts-broken {
		t.Errorf("%d attempts are counted; the gateway had %d requests, and broke off %d of them", counted, attempts, broken)
	}
	if status.Retried == 0 || status.Buried > 0 {
		t.Errorf("%+v", status)
	}
}

// countingServer counts the connections that are made to it.
func countingServer(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	s, made := httptest.NewUnstartedServer(h), new(atomic.Int64)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, made
}

// As many connections as events in flight are kept, and used again.
func TestConnectionsSeveral(t *testing.T) {
	const n, rounds = 20, 4
	var arrived sync.WaitGroup
	s, made := countingServer(t, func(http.ResponseWriter, *http.Request) {
		arrived.Done()
		arrived.Wait()
	})
	p := httpPoster(t, target.Target{URL: s.URL, Concurrency: n, Timeout: time.Minute})
	for range rounds {
		arrived.Add(n)
		var wg sync.WaitGroup
		for i := range uint64(n) {
			wg.Go(func() {
				e := journals.User(i, "kong")
				if _, err := p.Post(t.Context(), &e); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	// On a busy machine net/http gives one up now and then.
	if got := made.Load(); got < n || got >= 2*n {
		t.Errorf("%d connections for %d posts at once", got, n)
	}
}

func httpPoster(t testing.TB, gateway target.Target) *target.Poster {
	t.Helper()
	p, err := target.NewPoster(gateway)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
