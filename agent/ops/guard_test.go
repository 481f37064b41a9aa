package ops

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"agentctl/handler/journal"
)

func TestOnlyOwnHostNamesAreAnswered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		httpAddr, host string
		ok             bool
	}{
		{"127.0.0.1:7374", "127.0.0.1:7374", true},
		{"127.0.0.1:7374", "localhost:7374", true},
		{"127.0.0.1:7374", "LOCALHOST", true},
		{"127.0.0.1:7374", "localhost.", true},
		{"127.0.0.1:7374", "a.localhost:7374", true},
		{"127.0.0.1:7374", "[::1]:7374", true},
		{"127.0.0.1:7374", "::1", true},
		{"127.0.0.1:7374", "[fe80::1%eth0]:7374", true},
		{"127.0.0.1:7374", "10.0.0.5", true},
		{"127.0.0.1:7374", "", true},
		{"127.0.0.1:7374", ":7374", true},
		{"127.0.0.1:7374", "evil.example", false},
		{"127.0.0.1:7374", "evil.example:7374", false},
		{"127.0.0.1:7374", "127.0.0.1.evil.example", false},
		{"127.0.0.1:7374", "notlocalhost", false},
		{"127.0.0.1:7374", "localhost.evil.example", false},
		{"gateway:7374", "gateway:7374", true},
		{"gateway:7374", "Gateway", true},
		{"gateway:7374", "gateway.evil.example", false},
		{"unix:/run/agentctl.sock", "localhost", true},
		{"unix:/run/agentctl.sock", "evil.example", false},
	} {
		h := ownHost(test.httpAddr, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		req := httptest.NewRequest("GET", "/v1/status", nil)
		req.Host = test.host
		w := httptest.NewRecorder()
		h(w, req)
		if ok := w.Code == http.StatusOK; ok != test.ok || !ok && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("at %s, Host %q: %d", test.httpAddr, test.host, w.Code)
		}
	}
}

// A page of another origin is refused, whatever it asks for under /v1/.
func TestOnlyOwnPagesAreAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{})
		self := strings.TrimPrefix(r.URL, "http://")
		for _, test := range []struct {
			header []string
			ok     bool
		}{
			{nil, true},
			{[]string{"Sec-Fetch-Site", "same-origin"}, true},
			{[]string{"Sec-Fetch-Site", "none"}, true},
			{[]string{"Sec-Fetch-Site", "cross-site"}, false},
			{[]string{"Sec-Fetch-Site", "same-site"}, false},
			{[]string{"Origin", r.URL}, true},
			{[]string{"Origin", "http://LOCALHOST:1", "Host", "localhost:1"}, true},
			{[]string{"Origin", "http://localhost:1"}, false},
			{[]string{"Origin", "https://evil.example"}, false},
			{[]string{"Origin", "null"}, false},
			{[]string{"Origin", "://"}, false},
			{[]string{"Origin", "http://" + self, "Sec-Fetch-Site", "cross-site"}, false},
		} {
			for _, path := range []string{"/v1/events", "/v1/events/1-a", "/v1/replay/1", "/metrics"} {
				status, _ := r.ask(t, "GET", path, "", nil, test.header...)
				refused := status == http.StatusForbidden
				if want := !test.ok && path != "/metrics"; refused != want {
					t.Errorf("%s with %q: %d", path, test.header, status)
				}
			}
		}
		// Who asks with HEAD would never have an end; and nobody is to guess types.
		resp, err := client(t).Head(r.URL + "/v1/events?follow=1")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("HEAD for a stream: %d, %v", resp.StatusCode, resp.Header)
		}
	})
}

func TestRequestsThatAreWrong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{})
		for _, test := range []struct {
			method, path string
			status       int
			text         string
		}{
			{"GET", "/", 404, "there is no / here"},
			{"GET", "/v1/event", 404, "there is no /v1/event here"},
			{"POST", "/v1/status", 405, "use GET"},
			{"POST", "/metrics", 405, "use GET"},
			{"DELETE", "/v1/events/1-a", 405, "use GET"},
			{"GET", "/v1/replay", 405, "use POST"},
			{"GET", "/v1/dismiss", 405, "use POST"},
			{"GET", "/v1/events/1-a", 404, "the history is empty"},
			{"GET", "/v1/events?sate=buried", 400, `unknown parameter "sate"`},
			{"GET", "/v1/events?state=dead", 400, `state: "dead" is not waiting, delivered, buried, lost or outdated`},
			{"GET", "/v1/events?limit=0", 400, "from 1 to 10000"},
			{"GET", "/v1/events?limit=10001", 400, "from 1 to 10000"},
			{"GET", "/v1/events?limit=many", 400, "from 1 to 10000"},
			{"GET", "/v1/events?after=-1", 400, "a sequence number"},
			{"GET", "/v1/events?follow=perhaps", 400, "true or false"},
			{"GET", "/v1/events?since=-5m", 400, "in the future"},
			{"GET", "/v1/events?target=x", 404, `unknown target "x": this agent has none`},
			{"GET", "/v1/events?name=a%zz", 400, "the query cannot be read"},
			{"GET", "/v1/events?name=a;state=buried", 400, "the query cannot be read"},
			{"GET", "/v1/events?limit=1&limit=2", 400, "limit is given 2 times"},
			{"GET", "/v1/events?limit=NaN", 400, "from 1 to 10000"},
			{"GET", "/v1/events?after=18446744073709551616", 400, "a sequence number"},
			{"GET", "/v1/events/1-a/nodes?wait=1s&wait=2s", 400, "wait is given 2 times"},
			{"GET", "/v1/recipients?name=a&name=b", 400, "name is given 2 times"},
			{"POST", "/v1/events?durable=1&durable=1&name=a", 400, "durable is given 2 times"},
			{"POST", "/v1/replay?dry_run=true", 400, `unknown parameter "dry_run"`},
			{"POST", "/v1/dismiss?target=x", 400, `unknown parameter "target"`},
			{"GET", "/readyz?target=ok", 400, `unknown parameter "target"`},
			{"GET", "/readyz?targets=ok%zz", 400, "the query cannot be read"},
			{"GET", "/readyz?targets=&targets=ok", 400, "targets is given 2 times"},
		} {
			status, text := r.ask(t, test.method, test.path, "", nil)
			if status != test.status || !strings.Contains(text, test.text) {
				t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, status, text, test.status, test.text)
			}
		}
		// Pages of the web may not ask; and probes may use any name.
		if status, _ := r.ask(t, "GET", "/v1/events", "", nil, "Host", "evil.example"); status != http.StatusMisdirectedRequest {
			t.Errorf("the events under another name: %d", status)
		}
		if status, _ := r.ask(t, "GET", "/metrics", "", nil, "Host", "gateway-1.example.org"); status != http.StatusOK {
			t.Errorf("metrics under another name: %d", status)
		}
	})
}
