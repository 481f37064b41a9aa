package target

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// A flush request is made as its target and itself say, and is no event's.
func TestFlushRequest(t *testing.T) {
	type request struct {
		Line, Host, Auth, Content, X, Event, Body string
	}
	status := make(chan int, 1)
	requests := make(chan request, 1)
	srv := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		requests <- request{r.Method + " " + r.URL.String(), r.Host, h.Get("Authorization"), h.Get("Content-Type"), h.Get("X-Y"),
			h.Get("X-Serf-Event") + h.Get("X-Serf-Event-Id"), string(body)}
		w.WriteHeader(<-status)
	})
	base := Target{
		URL: strings.Replace(srv.URL, "//", "//u:p@", 1) + "/purge?a=b", Method: "PURGE",
		Header:    http.Header{"x-y": {"target's"}, "Host": {"cache.test"}},
		DoneCodes: []int{404}, RetryCodes: []int{409}, BuryCodes: []int{503}, Timeout: time.Minute,
	}
	for name, tt := range map[string]struct {
		flush FlushRequest
		want  request
	}{
		"bare": {FlushRequest{}, request{"POST /purge?a=b", "cache.test", "Basic dTpw", "application/json", "target's", "", ""}},
		"all": {FlushRequest{
			URL: srv.URL + "/all", Method: "BAN", Body: "everything",
			Header: http.Header{"X-Y": {"flush's"}, "content-type": {"text/plain"}},
		}, request{"BAN /all", "cache.test", "", "text/plain", "flush's", "", "everything"}},
	} {
		target := base
		target.Flush = &tt.flush
		p, err := NewPoster(target)
		if err != nil {
			t.Fatal(err)
		}
		for code, class := range map[int]string{200: "", 204: "", 404: "bury", 409: "retry", 503: "bury", 500: "retry"} {
			status <- code
			_, err := p.Flush(t.Context(), &handler.Event{Type: handler.MemberJoin})
			got := ""
			if perr, ok := errors.AsType[*PostError](err); ok {
				got = perr.Class.String()
			}
			testkit.Want(t, name+", class", got, class)
			testkit.Want(t, name, <-requests, tt.want)
		}
		p.Close()
	}
	p, err := NewPoster(base)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Flush(t.Context(), &handler.Event{Type: handler.MemberJoin}); !errors.Is(err, ErrNoFlush) {
		t.Errorf("without one: %v", err)
	}
}

func TestFlushRequestValidate(t *testing.T) {
	target := Target{Name: "gw", URL: "http://127.0.0.1/", Header: http.Header{"a b": {"c"}}, Flush: &FlushRequest{
		URL: "ftp://u:hunter2@h/", Method: "a b", Header: http.Header{"Content-Length": {"1"}}, Body: "x", SelfJoin: true,
	}}
	err := target.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"flush: url: ", "flush: method: ", "flush: headers: Content-Length", "flush: it is a member-join"} {
		if !strings.Contains(err.Error(), "target gw: "+want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 4 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%d lines, want 5 without a secret:\n%v", n+1, err)
	}
	target.Header, target.Flush = nil, &FlushRequest{SelfJoin: true}
	if err := target.Validate(); err != nil {
		t.Error(err)
	}
}

func TestFlushLine(t *testing.T) {
	for want, f := range map[string]*FlushRequest{
		"none":              nil,
		"POST http://h/all": {},
		"BAN http://h:1/":   {Method: "BAN", URL: "http://u:hunter2@h:1/?k=hunter2", Header: http.Header{"X": {"hunter2"}}, Body: "hunter2"},
		"POST http://h/all, a member-join of this node": {SelfJoin: true},
	} {
		target := Target{URL: "http://u:hunter2@h/all", Method: "PURGE", Flush: f}
		if got := target.FlushLine(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A flush has no event but a member-join of its node: of the target's headers
// it takes those that need none, and its own templates are of that.
func TestFlushTemplates(t *testing.T) {
	requests := make(chan *http.Request, 1)
	bodies := make(chan string, 1)
	srv := testkit.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
	})
	p := newPoster(t, Target{
		URL: srv.URL + "/{{.key}}", Header: http.Header{"X-Key": {"{{.key}}"}, "X-Fixed": {"1"}},
		Flush: &FlushRequest{URL: srv.URL + "/all/{{.type}}", Header: http.Header{"X-Type": {"{{event.type}}"}}, Body: `{"lines":{{.entity}}}`},
	})
	self := handler.NewMember(handler.MemberJoin, "", handler.MemberLine("n1", "10.0.0.1", "r", nil), time.Now())
	if _, err := p.Flush(t.Context(), &self); err != nil {
		t.Fatal(err)
	}
	r := <-requests
	testkit.Want(t, "path", r.URL.Path, "/all/member-join")
	testkit.Want(t, "headers", []string{r.Header.Get("X-Key"), r.Header.Get("X-Fixed"), r.Header.Get("X-Type"), r.Header.Get("X-Serf-Event")},
		[]string{"", "1", "member-join", ""})
	testkit.Want(t, "body", <-bodies, `{"lines":"n1\t10.0.0.1\tr\t"}`)
}
