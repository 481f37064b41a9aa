package handler

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/backoff"
	"agentctl/handler/varint"
)

// A flush request is made as its target and itself say, and is no event's.
func TestFlushRequest(t *testing.T) {
	type request struct {
		Line, Host, Auth, Content, X, Event, Body string
	}
	status := make(chan int, 1)
	requests := make(chan request, 1)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
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
			_, err := p.Flush(t.Context(), &Event{Type: MemberJoin})
			got := ""
			if perr, ok := errors.AsType[*PostError](err); ok {
				got = perr.Class.String()
			}
			want(t, name+", class", got, class)
			want(t, name, <-requests, tt.want)
		}
		p.Close()
	}
	p, err := NewPoster(base)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Flush(t.Context(), &Event{Type: MemberJoin}); !errors.Is(err, ErrNoFlush) {
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

func TestFlushOfNobody(t *testing.T) {
	target := Target{Name: "gw", URL: "http://127.0.0.1/", Flush: &FlushRequest{SelfJoin: true}}
	if _, err := newDelivery(DeliveryConfig{Target: target, Journal: NewMemory(MemoryConfig{})}, &fakePoster{}); err == nil || !strings.Contains(err.Error(), "gw") {
		t.Errorf("a member-join of nobody: %v", err)
	}
}

// The member-join is that of the node as it is then.
func TestFlushBySelfJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		role := "a"
		var bodies []string
		r := start(t, DeliveryConfig{
			Target: Target{Flush: &FlushRequest{SelfJoin: true}},
			Self:   func() []byte { return MemberLine("n1", "10.0.0.1", role, map[string]string{"k": "v"}) },
		}, MemoryConfig{}, func(_ context.Context, e *Event, _ int) error {
			bodies = append(bodies, string(e.Payload))
			return nil
		})
		for _, role = range []string{"a", "b"} {
			mustGap(t, r.journal, 1, "")
			r.idle(t)
			time.Sleep(time.Hour)
		}
		want(t, "bodies", bodies, []string{
			`{"type":"member-join","entity":"n1\t10.0.0.1\ta\tk=v"}`, `{"type":"member-join","entity":"n1\t10.0.0.1\tb\tk=v"}`,
		})
	})
}

// A flush that is under way at Finish comes to its end; one that is cancelled,
// or whose end is not in the file, is made again by the next process, and one
// whose end is there is not.
func TestFlushAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "journal.db")
		d := openDir(t, DiskConfig{Dir: dir, NoSync: true})
		var p *fakePoster
		life := func(end func(*Delivery, context.CancelFunc)) Status {
			p = &fakePoster{answer: func(ctx context.Context, _ *Event, _ int) error { return backoff.Sleep(ctx, time.Second) }}
			target := flushed(1)
			target.URL = "http://h/"
			delivery, err := newDelivery(DeliveryConfig{Target: target, Journal: d.Memory}, p)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- delivery.Run(ctx) }()
			end(delivery, cancel)
			if err := <-done; err != nil {
				t.Error(err)
			}
			return delivery.Status()
		}
		next := func(file []byte) {
			closeDisk(t, d)
			if file != nil {
				if err := os.WriteFile(path, file, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d = openDir(t, DiskConfig{Dir: dir, NoSync: true})
		}
		life(func(delivery *Delivery, cancel context.CancelFunc) {
			mustGap(t, d.Memory, 3, "it was lost")
			mustSync(t, d)
			time.Sleep(time.Second / 2)
			cancel()
		})
		want(t, "cancelled", p.attempts(), []string{flushID})
		next(nil)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time without what the first wrote
			s := life(func(delivery *Delivery, _ context.CancelFunc) {
				time.Sleep(time.Second / 2)
				if s := delivery.Status(); s.State != StateFlushing || s.GapReason != "it was lost" || s.Lost != 3 {
					t.Errorf("in the next process: %+v", s)
				}
				delivery.Finish()
			})
			want(t, "at Finish", p.attempts(), []string{flushID})
			if s.State != StateOK || s.Flushes != 1 {
				t.Errorf("%+v", s)
			}
			next(before)
			before = nil
		}
		s := life(func(delivery *Delivery, cancel context.CancelFunc) {
			time.Sleep(time.Hour)
			cancel()
		})
		if s.State != StateOK || s.Lost != 3 || len(p.attempts()) != 0 {
			t.Errorf("after a flush that is in the file: %+v", s)
		}
	})
}

// A gap that an earlier version of this program wrote is one, and is flushed.
func TestGapOfVersion1(t *testing.T) {
	key := []byte("key")
	since := time.Unix(1e9, 0)
	for name, at := range map[string]time.Time{"gap": since, "none": {}} {
		b := encoder{varint.Encoder{1}}
		for _, v := range []uint64{1, 1, 1, 1, 0, 0, 5, 2} { // place, since, one era from 1 without filters, collapse, lost, expired
			b.Uint(v)
		}
		b.Time(at)
		for range 3 {
			b.spans(nil)
		}
		s, err := decodeCursor(key, b.seal(key))
		if err != nil || s.lost != 5 || !s.gap.Since.Equal(at) || (s.gap.Reason == "") != at.IsZero() {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
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
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
	})
	p := newPoster(t, Target{
		URL: srv.URL + "/{{.key}}", Header: http.Header{"X-Key": {"{{.key}}"}, "X-Fixed": {"1"}},
		Flush: &FlushRequest{URL: srv.URL + "/all/{{.type}}", Header: http.Header{"X-Type": {"{{event.type}}"}}, Body: `{"lines":{{.entity}}}`},
	})
	self := NewMember(MemberJoin, "", MemberLine("n1", "10.0.0.1", "r", nil), time.Now())
	if _, err := p.Flush(t.Context(), &self); err != nil {
		t.Fatal(err)
	}
	r := <-requests
	want(t, "path", r.URL.Path, "/all/member-join")
	want(t, "headers", []string{r.Header.Get("X-Key"), r.Header.Get("X-Fixed"), r.Header.Get("X-Type"), r.Header.Get("X-Serf-Event")},
		[]string{"", "1", "member-join", ""})
	want(t, "body", <-bodies, `{"lines":"n1\t10.0.0.1\tr\t"}`)
}
