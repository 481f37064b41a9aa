package agent

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/handler"
)

// readTargets reads a configuration file that holds text.
func readTargets(t *testing.T, text string) (Options, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.NodeName = "n"
	err := o.ReadConfig(path)
	if err != nil {
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), path, "c.json"))
	}
	return o, err
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTargetsInAFile(t *testing.T) {
	o, err := readTargets(t, `{
		"//": "two targets",
		"targets": [
			{
				"// why": "the cache",
				"name": "cache", "events": "user:purge,user:ban", "url": "http://127.0.0.1:6081/", "method": "PURGE",
				"headers": {"X-Key": "k"}, "timeout": "2s", "done_codes": [404], "retry_codes": [409], "bury_codes": [503],
				"basic_auth": {"username": "u", "password_file": "`+writeFile(t, "s3cret\n")+`"},
				"preset": "http", "concurrency": 1, "flush": null
			},
			{"preset": "kong", "url": "http://127.0.0.1:8001"}
		]
	}`)
	if err != nil {
		t.Fatal(err)
	}
	set, err := o.handlers()
	if err != nil {
		t.Fatal(err)
	}
	want := []handler.Target{
		handler.Target{
			Name: "cache", URL: "http://127.0.0.1:6081/", Method: "PURGE", Timeout: 2 * time.Second,
			Filters:   handler.Filters{{Type: handler.User, Name: "purge"}, {Type: handler.User, Name: "ban"}},
			Header:    http.Header{"X-Key": {"k"}, "Authorization": {"Basic dTpzM2NyZXQ="}},
			DoneCodes: []int{404}, RetryCodes: []int{409}, BuryCodes: []int{503},
			UserAgent: "agentctl/" + Version,
		}.WithDefaults(),
		handler.Target{
			URL: "http://127.0.0.1:8001/cluster/events/", Header: http.Header{}, UserAgent: "agentctl/" + Version,
			Filters: mustFilters(t, GatewayEvents),
		}.WithDefaults(),
	}
	if diff := cmp.Diff(want, set.targets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func mustFilters(t *testing.T, s string) handler.Filters {
	t.Helper()
	fs, err := handler.ParseFilters(s)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// Every problem of every target is named, with its place, and no secret is.
func TestTargetProblemsAllAtOnce(t *testing.T) {
	_, err := readTargets(t, `{
"targets": [
  {"url": "http://127.0.0.1/", "nmae": "x", "timeout": 5,
   "done_codes": ["404"], "headers": ["hunter2"],
   "tls": {"ca_fle": "x"}, "basic_auth": "hunter2"},
  "hunter2"
]}`)
	want := `c.json:3: unknown key "targets[0].nmae", did you mean "name"?
c.json:3: targets[0].timeout: 5 is not a duration such as 30s or 5m
c.json:4: targets[0].done_codes: ["404"] is not a list of whole numbers
c.json:4: targets[0].headers: want an object of texts
c.json:5: unknown key "targets[0].tls.ca_fle", did you mean "ca_file"?
c.json:5: targets[0].basic_auth: want a JSON object
c.json:6: want a JSON object`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}

	missing := filepath.Join(t.TempDir(), "missing")
	o, err := readTargets(t, `{"targets": [
		{"preset": "varnish", "url": "http://u:hunter2@127.0.0.1:99999/", "events": "nonsense", "body": "{{.}}", "concurrency": 8,
		 "order_key": "payload", "collapse": true, "max_age": "1h", "flush": {"url": "http://x/"}},
		{"url": "http://127.0.0.1/", "bearer_token_file": "`+missing+`"},
		{"url": "http://127.0.0.1/", "bearer_token_file": "x", "basic_auth": {"username": "u"}},
		{"url": "https://127.0.0.1/", "tls": {"ca_file": "`+writeFile(t, "no pem")+`"}},
		{"url": "https://127.0.0.1/", "tls": {"cert_file": "x"}},
		{"url": "http://127.0.0.1/a", "name": "same"},
		{"url": "http://127.0.0.1/b", "name": "same"}
	]}`)
	if err != nil {
		t.Fatal(err)
	}
	err = o.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`targets[0]: preset: unknown preset "varnish": want kong or http`,
		"targets[0]: body: this version of agentctl does not have it yet",
		"targets[0]: concurrency: ", "targets[0]: order_key: ", "targets[0]: collapse: ", "targets[0]: max_age: ", "targets[0]: flush: ",
		`targets[0]: events: unknown event type "nonsense"`,
		"port 99999",
		"targets[1]: bearer_token_file: stat " + missing + ": no such file",
		"targets[2]: basic_auth, bearer_token_file and an Authorization header exclude each other",
		"targets[3]: tls.ca_file: ", "targets[4]: tls: cert_file and key_file go together",
		`targets[6]: name: another target has the name "same"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is told: %v", err)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.Contains(line, "c.json:") || !strings.Contains(line, ": targets[") {
			t.Errorf("a line does not say where: %q", line)
		}
	}
}

// A target over TLS, trusted by its own authority, with a bearer token.
func TestTargetOverTLS(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Method + " " + r.Header.Get("Authorization")
	}))
	defer srv.Close()
	ca := writeFile(t, pemOf(srv.Certificate().Raw))
	for name, tt := range map[string]struct {
		tls TLSOptions
		ok  bool
	}{
		"trusted":       {TLSOptions{CAFile: ca, ServerName: "example.com"}, true},
		"not verified":  {TLSOptions{InsecureSkipVerify: true}, true},
		"not trusted":   {TLSOptions{ServerName: "example.com"}, false},
		"another name":  {TLSOptions{CAFile: ca, ServerName: "other.test"}, false},
		"no TLS at all": {TLSOptions{}, false},
	} {
		opts := TargetOptions{URL: srv.URL, Method: "PUT", TLS: tt.tls, BearerTokenFile: writeFile(t, "tok\n")}
		target, err := opts.target()
		if err != nil {
			t.Fatal(err)
		}
		p, err := handler.NewPoster(target)
		if err != nil {
			t.Fatal(err)
		}
		e := handler.NewUser(1, "x", nil, time.Now())
		_, err = p.Post(t.Context(), &e)
		p.Close()
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if r := <-got; r != "PUT Bearer tok" {
				t.Errorf("%s: %s", name, r)
			}
		}
	}
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func writeTo(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
