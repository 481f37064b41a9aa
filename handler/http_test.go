package handler

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// The whole way over real connections: a gateway that refuses for a while,
// breaks connections, and then takes everything, gets it in order.
func TestDeliveryOverHTTP(t *testing.T) {
	var mu sync.Mutex // each connection has its own goroutine
	var ids []string
	attempts := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		attempts++
		switch {
		case attempts%7 == 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case attempts%7 == 5:
			panic(http.ErrAbortHandler) // net/http breaks the connection
		case err != nil || string(body) != strange:
			w.WriteHeader(http.StatusBadRequest)
		default:
			ids = append(ids, r.Header.Get("X-Serf-Event-Id"))
		}
	})
	j := NewMemory(MemoryConfig{})
	d, err := NewDelivery(DeliveryConfig{
		Target:  Target{URL: s.URL, MinBackoff: time.Microsecond, MaxBackoff: time.Millisecond, Timeout: time.Minute},
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
		e := NewUser(i, "kong", []byte(strange), time.Now())
		wanted = append(wanted, e.ID)
		mustAppend(t, j, e)
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
	want(t, "taken", ids, wanted)
	status := d.Status()
	want(t, "attempts", uint64(attempts), status.Delivered+status.Retried)
	if status.Retried == 0 || status.Buried > 0 {
		t.Errorf("%+v", status)
	}
}
