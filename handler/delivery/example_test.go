package delivery_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// Bring the events of a journal to a gateway. The gateway refuses the first attempt,
// and gets the same event again.
func Example() {
	var attempts atomic.Int32
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if attempts.Add(1) == 1 {
			fmt.Printf("busy: %s\n", body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Printf("took: %s\n", body)
	}))
	defer gateway.Close()
	j := journal.New(journal.Config{})
	defer j.Close()

	d, err := delivery.New(delivery.Config{
		Journal: j,
		Target:  target.Target{URL: gateway.URL, MinBackoff: time.Millisecond},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()

	err = j.Append(
		handler.NewUser(1, "purge", []byte("/a"), time.Now()),
		handler.NewUser(2, "purge", []byte("/b"), time.Now()),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := d.Idle(ctx); err != nil { // until no event waits
		log.Fatal(err)
	}
	status := d.Status()
	fmt.Println(status.State, status.Delivered, "delivered,", status.Retried, "retried")

	cancel()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	// Output:
	// busy: /a
	// took: /a
	// took: /b
	// ok 2 delivered, 1 retried
}
