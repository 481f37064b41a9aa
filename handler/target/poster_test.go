package target

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

func newPoster(t testing.TB, target Target) *Poster {
	t.Helper()
	return newPosterOn(t, nil, target)
}

// newPosterOn is newPoster for another network.
func newPosterOn(t testing.TB, dial Dial, target Target) *Poster {
	t.Helper()
	if target.Timeout == 0 { // a busy machine must not make an attempt fail
		target.Timeout = time.Minute
	}
	p, err := NewPosterOn(dial, target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// fails posts and wants a *PostError.
func fails(t *testing.T, p *Poster) *PostError {
	t.Helper()
	e := handler.NewUser(1, "kong", []byte("x"), time.Now())
	res, err := p.Post(t.Context(), &e)
	perr, ok := errors.AsType[*PostError](err)
	if !ok {
		t.Fatalf("got %+v, %v, want a PostError", res, err)
	}
	return perr
}

func TestPostSendsTheEvent(t *testing.T) {
	var got *http.Request
	var body []byte
	s := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "taken")
	})
	p := newPoster(t, Target{
		URL:       strings.Replace(s.URL, "http://", "http://admin:s3cret@", 1) + "/cluster/events/?a=b",
		UserAgent: "agentctl/1.2",
	})
	member := handler.NewMember(handler.MemberJoin, "member 1", handler.MemberLine("n", "10.0.0.1", "", nil), time.Now())
	for _, e := range []handler.Event{
		handler.NewUser(1<<63, "kong", []byte(testkit.Strange), time.Now()),
		handler.NewUser(5, "empty", nil, time.Now()),
		handler.NewQuery(6, "q\r\nX-Evil: 1", []byte(testkit.Strange), time.Now()),
		handler.NewUser(6, strings.Repeat("\x00", 9000), []byte("long"), time.Now()),
		member,
	} {
		res, err := p.Post(t.Context(), &e)
		if err != nil || res.Status != http.StatusCreated || string(res.Body) != "taken" {
			t.Fatalf("%+v, %v", res, err)
		}
		if got.Method != http.MethodPost || got.URL.String() != "/cluster/events/?a=b" {
			t.Errorf("%s %s", got.Method, got.URL)
		}
		if !bytes.Equal(body, e.Body()) {
			t.Errorf("body %q, want %q", body, e.Body())
		}
		if got.ContentLength != int64(len(body)) || len(got.TransferEncoding) > 0 {
			t.Errorf("content length %d, encoding %v", got.ContentLength, got.TransferEncoding)
		}
		if u, pw, _ := got.BasicAuth(); u != "admin" || pw != "s3cret" {
			t.Errorf("authorization %q", got.Header.Get("Authorization"))
		}
		want := map[string]string{
			"Content-Type": "application/json", "User-Agent": "agentctl/1.2",
			"X-Serf-Event": string(e.Type), "X-Serf-Event-Id": e.ID, "X-Evil": "",
		}
		switch {
		case e.Type.IsMember():
			want["X-Serf-Event-Name"], want["X-Serf-Event-Ltime"] = "", ""
		case e.LTime == 1<<63:
			want["X-Serf-Event-Name"], want["X-Serf-Event-Ltime"] = "kong", "9223372036854775808"
		case e.Type == handler.Query:
			want["X-Serf-Event-Name"] = "q%0D%0AX-Evil: 1"
		}
		for k, v := range want {
			if h := got.Header.Get(k); h != v {
				t.Errorf("%s: %q, want %q", k, h, v)
			}
		}
	}
}

// An empty payload still has a Content-Length: some gateways answer 411.
func TestPostOfNothingHasALength(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	head := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r, lines := bufio.NewReader(c), ""
		for !strings.HasSuffix(lines, "\r\n\r\n") {
			line, err := r.ReadString('\n')
			if err != nil {
				break
			}
			lines += line
		}
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		head <- lines
	}()
	e := handler.NewUser(1, "kong", nil, time.Now())
	if _, err := newPoster(t, Target{URL: "http://" + l.Addr().String()}).Post(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	if lines := <-head; !strings.Contains(lines, "\r\nContent-Length: 0\r\n") {
		t.Errorf("no length in %q", lines)
	}
}

func TestPostClasses(t *testing.T) {
	var status atomic.Int64
	var seen atomic.Int64
	s := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(status.Load()))
	})
	p := newPoster(t, Target{URL: s.URL})
	e := handler.NewUser(1, "kong", []byte("x"), time.Now())
	for code, want := range map[int]string{
		200: "done", 201: "done", 202: "done", 204: "done", 299: "done",
		300: "bury", 301: "bury", 302: "bury", 304: "bury", 307: "bury", 308: "bury",
		400: "bury", 401: "bury", 403: "bury", 404: "bury", 411: "bury", 413: "bury", 415: "bury", 499: "bury",
		408: "retry", 425: "retry", 429: "retry",
		500: "retry", 502: "retry", 503: "retry", 504: "retry", 599: "retry",
		600: "bury", 999: "bury",
	} {
		status.Store(int64(code))
		seen.Store(0)
		res, err := p.Post(t.Context(), &e)
		got := "done"
		if perr, ok := errors.AsType[*PostError](err); ok {
			got = perr.Class.String()
			if perr.Status != code {
				t.Errorf("%d: status %d", code, perr.Status)
			}
			if wait := 7 * time.Second; perr.Class == Retry && perr.RetryAfter != wait || perr.Class == Bury && perr.RetryAfter != 0 {
				t.Errorf("%d: retry after %v", code, perr.RetryAfter)
			}
		} else if res.Status != code {
			t.Errorf("%d: %+v, %v", code, res, err)
		}
		if got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
		if n := seen.Load(); n != 1 {
			t.Errorf("%d: %d requests, want 1", code, n)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 3 ": 3 * time.Second, "-1": 0, "1.5": 0, "soon": 0,
		"301": maxRetryAfter, "18446744073709551615": maxRetryAfter, "99999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(time.Hour).Format(http.TimeFormat):        maxRetryAfter,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func TestPostUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "g.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	paths := make(chan string, 2)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.Host + r.URL.String()
	})}
	go s.Serve(l)
	defer s.Close()
	for suffix, want := range map[string]string{
		"": "localhost/cluster/events/", ":/a/b?c=d": "localhost/a/b?c=d",
	} {
		e := handler.NewUser(1, "kong", []byte("x"), time.Now())
		if _, err := newPoster(t, Target{URL: "unix:" + socket + suffix}).Post(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
		if got := <-paths; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// On another network the poster dials what the URL names, for a flush request too.
func TestPostOnAnotherNetwork(t *testing.T) {
	unplugged := errors.New("unplugged")
	for url, want := range map[string]string{
		"http://10.0.0.1:8001/":       "tcp 10.0.0.1:8001",
		"http://gw.example/":          "tcp gw.example:80",
		"unix:/run/g.sock:/purge?x=1": "unix /run/g.sock",
	} {
		var dialed []string
		p, err := NewPosterOn(func(_ context.Context, network, addr string) (net.Conn, error) {
			dialed = append(dialed, network+" "+addr)
			return nil, unplugged
		}, Target{URL: url, Flush: &FlushRequest{}})
		if err != nil {
			t.Fatal(err)
		}
		e := handler.NewUser(1, "kong", []byte("x"), time.Now())
		if _, err := p.Post(t.Context(), &e); !errors.Is(err, unplugged) {
			t.Errorf("%s: %v", url, err)
		}
		if _, err := p.Flush(t.Context(), &e); !errors.Is(err, unplugged) {
			t.Errorf("%s: the flush: %v", url, err)
		}
		testkit.Want(t, url, dialed, []string{want, want})
		p.Close()
	}
}

func TestPostTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it reports the refused handshake
	s.StartTLS()
	defer s.Close()
	if perr := fails(t, newPoster(t, Target{URL: s.URL})); perr.Class != Retry {
		t.Errorf("unknown certificate: %v", perr.Class)
	}
	config := s.Client().Transport.(*http.Transport).TLSClientConfig
	e := handler.NewUser(1, "kong", []byte("x"), time.Now())
	if _, err := newPoster(t, Target{URL: s.URL, TLS: config}).Post(t.Context(), &e); err != nil {
		t.Error(err)
	}
}

// The gateway is on this node: a proxy that the environment names is not for it.
func TestPostUsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	var dialed []string
	p := newPosterOn(t, func(_ context.Context, _, addr string) (net.Conn, error) {
		dialed = append(dialed, addr)
		return nil, syscall.ECONNREFUSED
	}, Target{URL: "http://gw.example/"})
	fails(t, p)
	testkit.Want(t, "what it dialed", dialed, []string{"gw.example:80"})
}
