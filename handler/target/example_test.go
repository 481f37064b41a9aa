package target_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"agentctl/handler"
	"agentctl/handler/target"
)

// Post one event to a gateway. The gateway gets the payload as the body, and the
// event's type, name and ID as headers.
func ExamplePoster_Post() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Printf("%s %s: %s\n", r.Method, r.URL.Path, body)
		fmt.Println(r.Header.Get("X-Serf-Event"), r.Header.Get("X-Serf-Event-Name"), r.Header.Get("X-Serf-Event-Id"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer gateway.Close()

	poster, err := target.NewPoster(target.Target{URL: gateway.URL + "/cluster/events"})
	if err != nil {
		log.Fatal(err)
	}
	defer poster.Close()

	event := handler.NewUser(7, "kong", []byte(`{"type":"ENTITY_UPDATED"}`), time.Now())
	answer, err := poster.Post(context.Background(), &event)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the gateway took it:", answer.Status)
	// Output:
	// POST /cluster/events: {"type":"ENTITY_UPDATED"}
	// user kong 7-e168b139dc6d0b76
	// the gateway took it: 204
}

// The verdict on an attempt that failed is its class. Retry means that the gateway
// may take the event later. Bury means that it would refuse it every time.
func ExamplePoster_Post_verdict() {
	statuses := make(chan int, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(<-statuses)
	}))
	defer gateway.Close()
	poster, err := target.NewPoster(target.Target{URL: gateway.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer poster.Close()
	event := handler.NewUser(7, "purge", []byte("/index.html"), time.Now())

	for _, status := range []int{http.StatusServiceUnavailable, http.StatusForbidden, http.StatusOK} {
		statuses <- status
		_, err := poster.Post(context.Background(), &event)
		if err == nil {
			fmt.Println("done")
			continue
		}
		switch failure := target.AsPostError(err); failure.Class {
		case target.Retry:
			fmt.Printf("%v: try again in %v\n", failure, failure.RetryAfter)
		case target.Bury:
			fmt.Printf("%v: give up\n", failure)
		}
	}
	// Output:
	// answered 503 Service Unavailable: try again in 2s
	// answered 403 Forbidden: give up
	// done
}

// A flush makes the gateway forget all that it holds. The agent sends it after
// events for the gateway were lost.
func ExamplePoster_Flush() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
	}))
	defer gateway.Close()

	poster, err := target.NewPoster(target.Target{
		URL:   gateway.URL + "/purge",
		Flush: &target.FlushRequest{URL: gateway.URL + "/cache", Method: http.MethodDelete},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer poster.Close()

	line := handler.MemberLine("gateway-1", "10.0.0.1", "", nil)
	self := handler.NewMember(handler.MemberJoin, "flush", line, time.Now())
	answer, err := poster.Flush(context.Background(), &self)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("flushed:", answer.Status)
	// Output:
	// DELETE /cache
	// flushed: 200
}

// A preset is a target for one kind of gateway, less the address. Here Varnish
// purges the object whose URL the event names.
func ExamplePreset_At() {
	varnish := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.Host, r.URL.Path)
	}))
	defer varnish.Close()

	preset, ok := target.FindPreset("varnish-purge")
	if !ok {
		log.Fatal("there is no such preset")
	}
	poster, err := target.NewPoster(preset.At(varnish.URL))
	if err != nil {
		log.Fatal(err)
	}
	defer poster.Close()

	event := handler.NewUser(7, "purge", []byte(`{"url":"https://shop.example/logo.png"}`), time.Now())
	if _, err := poster.Post(context.Background(), &event); err != nil {
		log.Fatal(err)
	}
	// Output: PURGE shop.example /logo.png
}

// Validate reports everything that is wrong with a target, one line for each.
func ExampleTarget_Validate() {
	t := target.Target{
		URL:         "ftp://127.0.0.1/",
		Method:      "NO GOOD",
		Concurrency: 1000,
	}
	fmt.Println(t.Validate())
	// Output:
	// target: url: "ftp://127.0.0.1/": the scheme must be http://, https:// or unix:
	// target: concurrency: 1000 is not within 1 to 256
	// target: method: "NO GOOD" is no HTTP method
}
