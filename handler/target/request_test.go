package target

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
)

// A target may have its own method, headers and meaning of status codes.
func TestPostAsTheTargetWants(t *testing.T) {
	status := make(chan int, 1)
	requests := make(chan *http.Request, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		w.WriteHeader(<-status)
	}))
	defer srv.Close()
	p, err := NewPoster(Target{
		URL:    srv.URL + "/purge",
		Method: "PURGE",
		Header: http.Header{
			"content-type":  {"text/plain"},
			"Authorization": {"Bearer secret"},
			"Host":          {"cache.example"},
			"X-Two":         {"1", "2"},
		},
		DoneCodes: []int{404}, RetryCodes: []int{409}, BuryCodes: []int{503},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	e := handler.NewUser(7, "purge", []byte("/a"), time.Now())
	for code, want := range map[int]string{200: "done", 404: "done", 409: "retry", 503: "bury", 500: "retry", 400: "bury"} {
		status <- code
		_, err := p.Post(t.Context(), &e)
		got := "done"
		if pe, ok := errors.AsType[*PostError](err); ok {
			got = pe.Class.String()
		} else if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
		r := <-requests
		if r.Method != "PURGE" || r.Host != "cache.example" {
			t.Errorf("%s to host %s, want PURGE to cache.example", r.Method, r.Host)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/plain", "Authorization": "Bearer secret", "X-Two": "1,2", "X-Serf-Event-Name": "purge",
		} {
			if got := strings.Join(r.Header[name], ","); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func TestTargetRequestValidate(t *testing.T) {
	ok := Target{URL: "http://127.0.0.1/", Method: "BAN", Header: http.Header{"X-A": {"b c"}}, DoneCodes: []int{404, 404}}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	bad := Target{
		URL:    "http://127.0.0.1/",
		Method: "PO ST",
		Header: http.Header{
			"x-serf-event-id": {"1"}, "Content-Length": {"3"}, "a b": {""}, "X-Secret": {"hunter2\r\nX-Evil: 1"},
		},
		DoneCodes: []int{200, 99}, RetryCodes: []int{404}, BuryCodes: []int{404},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`method: "PO ST"`, "x-serf-event-id cannot be set", "Content-Length cannot be set",
		`"a b" is no name`, "X-Secret has bytes", "done_codes: 99", "bury_codes: 404 is in retry_codes already"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 6 {
		t.Errorf("%d lines, want 7:\n%v", n+1, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the value of a header: %v", err)
	}
}
