package target

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// The credentials of a target, and whether a text holds one of them or most of one.
var echoed = []string{"pa55+w&rd", "t0ken-in-a-header", "k3y-in-the-query", "flu5h-t0ken", "s3ssion-id"}

func leaked(text string) (found []string) {
	for _, s := range echoed {
		for _, form := range []string{s, url.QueryEscape(s), html.EscapeString(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			for n := len(form); n >= 6; n-- {
				if strings.Contains(text, form[:n]) {
					found = append(found, form[:n])
					break
				}
			}
		}
	}
	return found
}

func secretive(base string) Target {
	return Target{
		URL: strings.Replace(base, "http://", "http://admin:pa55%2Bw%26rd@", 1) + "/{{.k}}?key=k3y-in-the-query&e={{.k}}",
		Header: http.Header{
			"Proxy-Authorization": {"Bearer t0ken-in-a-header"}, "Cookie": {"a=b; sid=s3ssion-id"}, "Accept": {"text/plain"},
		},
		Flush: &FlushRequest{URL: base + "/flush", Header: http.Header{"X-Token": {"flu5h-t0ken"}}},
	}
}

// A gateway repeats the request in its answer, in one form or another, and nothing of the
// credentials is in what is kept of it.
func TestEchoedSecrets(t *testing.T) {
	for name, form := range map[string]func(string) string{
		"as it is": func(s string) string { return s },
		"JSON":     func(s string) string { return fmt.Sprintf("%q", s) },
		"URL":      url.QueryEscape,
		"HTML":     html.EscapeString,
		"base64":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64, within a text": func(s string) string {
			return base64.URLEncoding.EncodeToString([]byte("x"+s+"y")) + base64.StdEncoding.EncodeToString([]byte("xx"+s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, redirect := http.StatusBadRequest, ""
			s := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				told := r.URL.String() + " " + user + " " + r.Header.Get("X-Token")
				for _, secret := range append(echoed, user+":"+password) {
					told += " [" + form(secret) + "]"
				}
				if redirect != "" {
					w.Header().Set("Location", "/"+strings.ReplaceAll(told, " ", "_"))
				}
				w.WriteHeader(status)
				io.WriteString(w, "answer "+told+" "+r.Header.Get("Accept"))
			})
			p := newPoster(t, secretive(s.URL))
			e := handler.NewUser(1, "kong", []byte(`{"k":"of-the-event"}`), time.Now())
			post := func() string {
				_, err := p.Post(t.Context(), &e)
				perr := AsPostError(err)
				return string(perr.Body) + perr.Error() + perr.Location
			}
			told := post()
			if found := leaked(told); len(found) > 0 || !strings.Contains(told, "of-the-event") || !strings.Contains(told, "text/plain") {
				t.Errorf("found %q in %s", found, told)
			}
			redirect, status = "/", http.StatusFound
			if told := post(); len(leaked(told)) > 0 || !strings.Contains(told, "a redirect to") {
				t.Errorf("found %q in %s", leaked(told), told)
			}
			redirect, status = "", http.StatusOK
			if res, err := p.Post(t.Context(), &e); err != nil || len(leaked(string(res.Body))) > 0 {
				t.Errorf("%v, found %q in %s", err, leaked(string(res.Body)), res.Body)
			}
			self := handler.NewMember(handler.MemberJoin, "1", handler.MemberLine("a", "10.0.0.1", "", nil), time.Now())
			if res, err := p.Flush(t.Context(), &self); err != nil || len(leaked(string(res.Body))) > 0 {
				t.Errorf("flush: %v, found %q in %s", err, leaked(string(res.Body)), res.Body)
			}
		})
	}
}

// The answer is cut within a secret.
func TestEchoedSecretAtTheCut(t *testing.T) {
	for from := keptAnswer - len(echoed[1]); from <= keptAnswer; from++ {
		s := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, strings.Repeat(".", from)+echoed[1]+strings.Repeat(".", keptAnswer))
		})
		perr := fails(t, newPoster(t, Target{URL: s.URL, Header: http.Header{"Authorization": {"Bearer " + echoed[1]}}}))
		if kept := strings.TrimLeft(string(perr.Body), "."); len(perr.Body) > keptAnswer || strings.Trim(kept, "x.") != "" {
			t.Fatalf("secret at byte %d: %d bytes kept, which end in %q", from, len(perr.Body), kept)
		}
	}
}

// Net/http repeats an answer that it cannot read.
func TestEchoedSecretInBrokenAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			_, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
			fmt.Fprintf(c, "HTTP/1.1 %s %s\r\n\r\n", token, echoed[2])
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	perr := fails(t, newPoster(t, Target{URL: "http://" + l.Addr().String() + "/?" + echoed[2], Header: http.Header{"Authorization": {"Bearer " + echoed[1]}}}))
	if !strings.Contains(perr.Error(), `status code "xxxxx"`) || len(leaked(perr.Error())) > 0 {
		t.Errorf("found %q in %v", leaked(perr.Error()), perr)
	}
}

// What is no secret stays in the answer.
func TestOpenValuesStay(t *testing.T) {
	s := newSecrets(&Target{URL: "http://u@h/path?a=1&b", Header: http.Header{"Accept": {"text/html"}, "X-On": {"yes"}, "X-Key": {"{{.k}}"}}})
	for _, text := range []string{"a=1 b u h path text/html yes", "Bearer", "{{.k}}", ""} {
		testkit.Want(t, text, s.hide(text), text)
	}
}

// Servers escape the same text in different ways.
func TestEchoedSecretsAsOthersEscapeThem(t *testing.T) {
	const password, token = "p\"\u00e4ss'</wor d>&", "to/ken+with/slashes=="
	lower := func(s string) string { // as many do it that are not browsers
		var b strings.Builder
		for _, c := range []byte(s) {
			if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02x", c)
			}
		}
		return b.String()
	}
	php := strings.NewReplacer(`"`, `\"`, "/", `\/`, "\u00e4", `\u00e4`).Replace
	base64ed := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, form := range map[string]func(string) string{
		"JSON of PHP":             php,
		"JSON of Python":          strings.NewReplacer(`"`, `\"`, "\u00e4", `\u00e4`).Replace,
		"JSON of browsers":        strings.NewReplacer(`"`, `\"`).Replace,
		"URL in lower case":       lower,
		"HTML of PHP":             strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;").Replace,
		"HTML of Python":          strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace,
		"HTML outside attributes": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace,
		"base64 in JSON of PHP":   func(s string) string { return php(base64ed(s)) },
		"base64 in a URL":         func(s string) string { return url.QueryEscape(base64ed(s)) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, secret := range []string{password, token} {
				echo := form(secret)
				s := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, "<"+echo+">")
				})
				p := newPoster(t, Target{
					URL:    strings.Replace(s.URL, "http://", "http://"+url.UserPassword("u", password).String()+"@", 1),
					Header: http.Header{"X-Token": {token}},
				})
				e := handler.NewUser(1, "kong", nil, time.Now())
				_, err := p.Post(t.Context(), &e)
				if got, want := string(AsPostError(err).Body), "<"+hidden+">"; got != want {
					t.Errorf("%q is kept, want %q", got, want)
				}
			}
		})
	}
}
