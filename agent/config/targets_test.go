package config

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentctl/agent/version"
	"agentctl/handler"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

// compileFile compiles a configuration file that holds text.
func compileFile(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.json")
	testkit.WriteTo(t, path, text)
	o := DefaultOptions()
	o.NodeName = "n"
	conf, err := Compile(Input{Defaults: o, Files: []string{path}})
	if err != nil {
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), path, "c.json"))
	}
	return conf, err
}

func TestTargetsInAFile(t *testing.T) {
	conf, err := compileFile(t, `{
		"//": "two targets",
		"targets": [
			{
				"// why": "the cache",
				"name": "cache", "events": "user:purge,user:ban", "url": "http://127.0.0.1:6081/", "method": "PURGE",
				"headers": {"X-Key": "k"}, "timeout": "2s", "done_codes": [404], "retry_codes": [409], "bury_codes": [503],
				"basic_auth": {"username": "u", "password_file": "`+testkit.WriteFile(t, "s3cret\n")+`"},
				"preset": "http", "concurrency": 4, "order_key": "collection+entity.id", "collapse": true, "max_age": "1h",
				"flush": {"method": "BAN", "url": "http://127.0.0.1:6082/", "headers": {"x-all": "1"}, "body": "all"}
			},
			{"preset": "kong", "url": "http://127.0.0.1:8001", "flush": null},
			{"preset": "kong", "url": "http://127.0.0.1:8002", "collapse": false, "flush": {"url": "http://127.0.0.1:8002/cache", "method": "DELETE"}}
		]
	}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []target.Target{
		target.Target{
			Name: "cache", URL: "http://127.0.0.1:6081/", Method: "PURGE", Timeout: 2 * time.Second,
			Filters:   handler.Filters{{Type: handler.User, Name: "purge"}, {Type: handler.User, Name: "ban"}},
			Header:    http.Header{"X-Key": {"k"}, "Authorization": {"Basic dTpzM2NyZXQ="}},
			DoneCodes: []int{404}, RetryCodes: []int{409}, BuryCodes: []int{503},
			Concurrency: 4, OrderKey: "collection+entity.id", Collapse: true, MaxAge: time.Hour,
			Flush:     &target.FlushRequest{Method: "BAN", URL: "http://127.0.0.1:6082/", Header: http.Header{"X-All": {"1"}}, Body: "all"},
			UserAgent: "agentctl/" + version.Version,
		}.WithDefaults(),
		target.Target{
			URL: "http://127.0.0.1:8001/cluster/events/", Header: http.Header{}, UserAgent: "agentctl/" + version.Version,
			Filters: mustFilters(t, gatewayEvents), Collapse: true, Flush: &target.FlushRequest{SelfJoin: true},
		}.WithDefaults(),
		target.Target{
			URL: "http://127.0.0.1:8002/cluster/events/", Header: http.Header{}, UserAgent: "agentctl/" + version.Version,
			Filters: mustFilters(t, gatewayEvents),
			Flush:   &target.FlushRequest{Method: "DELETE", URL: "http://127.0.0.1:8002/cache", Header: http.Header{}},
		}.WithDefaults(),
	}
	if diff := cmp.Diff(want, conf.Handlers.Targets, cmpopts.IgnoreUnexported(target.Target{})); diff != "" {
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

// Every problem of every target is named, with its location, and no secret is.
func TestTargetProblemsAllAtOnce(t *testing.T) {
	_, err := compileFile(t, `{
"targets": [
  {"url": "http://127.0.0.1/", "nmae": "x", "timeout": 5,
   "done_codes": ["404"], "headers": ["hunter2"],
   "tls": {"ca_fle": "x"}, "basic_auth": "hunter2"},
  "hunter2"
]}`)
	want := `c.json:3:32: unknown key "targets[0].nmae", did you mean "name"?
c.json:3:56: targets[0].timeout: 5 is not a duration such as 30s or 5m
c.json:4:18: targets[0].done_codes: entry 1 is a text, not a whole number
c.json:4:38: targets[0].headers: want an object of texts, not a list
c.json:5:12: unknown key "targets[0].tls.ca_fle", did you mean "ca_file"?
c.json:5:42: targets[0].basic_auth: want a JSON object, not a text
c.json:6:3: targets[1]: want a JSON object, not a text`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}

	missing := filepath.Join(t.TempDir(), "missing")
	_, err = compileFile(t, `{"targets": [
		{"preset": "varnish", "url": "http://u:hunter2@127.0.0.1:99999/", "events": "nonsense", 
		 "body": "{\"a\": {{.b}} {{.c}}}", "concurrency": 1000,
		 "order_key": "a..b", "collapse": true, "max_age": "-1h", "flush": {"url": "http://u:hunter2@127.0.0.1:99999/", "method": "a b"}},
		{"url": "http://127.0.0.1/", "preset": "varnish-prge", "bearer_token_file": "`+missing+`"},
		{"url": "http://127.0.0.1/", "bearer_token_file": "x", "basic_auth": {"username": "u"}},
		{"url": "https://127.0.0.1/", "tls": {"ca_file": "`+testkit.WriteFile(t, "no pem")+`"}},
		{"url": "https://127.0.0.1/", "tls": {"cert_file": "x"}},
		{"url": "http://127.0.0.1/a", "name": "same"},
		{"url": "http://127.0.0.1/b", "name": "same"}
	]}`)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`c.json:2:4: targets[0].preset: unknown preset "varnish": want one of kong, kong-cache, `,
		`targets[1].preset: unknown preset "varnish-prge", did you mean "varnish-purge"? "agentctl check -presets" shows what each sends`,
		`c.json:3:4: targets[0].body: {{.c}}: no value can stand here in JSON`,
		`c.json:4:4: targets[0].order_key: `, `c.json:4:115: targets[0].flush.method: "a b"`,
		"flush.url: ", "concurrency: 1000 is not within 1 to 256", "max_age: -1h0m0s is negative",
		`targets[0].events: unknown event type "nonsense"`,
		"port 99999",
		"targets[1].bearer_token_file: stat " + missing + ": no such file",
		"targets[2]: basic_auth, bearer_token_file and an Authorization header exclude each other",
		"targets[3].tls.ca_file: ", "targets[4].tls: cert_file and key_file go together",
		`targets[6].name: another target has the name "same"`,
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
	ca := testkit.WriteFile(t, pemOf(srv.Certificate().Raw))
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
		opts := TargetOptions{URL: srv.URL, Method: "PUT", TLS: tt.tls, BearerTokenFile: testkit.WriteFile(t, "tok\n")}
		gateway, err := opts.Target()
		if err != nil {
			t.Fatal(err)
		}
		p, err := target.NewPoster(gateway)
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

// What a target says takes the place of what its preset says, key by key.
func TestTargetOverItsPreset(t *testing.T) {
	no := false
	for name, tt := range map[string]struct {
		opts TargetOptions
		want target.Target
	}{
		"as it is": {TargetOptions{Preset: "squid", URL: "http://h/"}, target.Target{
			Name: "http://h{{path}}", URL: "http://h{{path}}", Method: "PURGE", Header: http.Header{"Host": {"{{host}}"}},
			Filters: mustFilters(t, "user:purge"), DoneCodes: []int{404}, Collapse: true,
		}},
		"all of it": {TargetOptions{
			Preset: "nginx-purge", URL: "http://h/clear{{path}}", Method: "GET", Headers: map[string]string{"host": "www.test", "X-A": "b"},
			Body: "{}", DoneCodes: []int{410}, RetryCodes: []int{404}, Collapse: &no, Events: "user:x",
			Flush: FlushOptions{URL: "http://h/all"},
		}, target.Target{
			Name: "http://h/clear{{path}}#user:x", URL: "http://h/clear{{path}}", Method: "GET", Header: http.Header{"Host": {"www.test"}, "X-A": {"b"}},
			Body: "{}", Filters: mustFilters(t, "user:x"), DoneCodes: []int{412, 410}, RetryCodes: []int{404},
			Flush: &target.FlushRequest{URL: "http://h/all", Header: http.Header{}},
		}},
		"the last event": {TargetOptions{URL: "http://h/", Flush: FlushOptions{LastEvent: true}}, target.Target{
			URL: "http://h/", Header: http.Header{}, Filters: mustFilters(t, "*"), Flush: &target.FlushRequest{LastEvent: true, Header: http.Header{}},
		}},
	} {
		got, err := tt.opts.Target()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tt.want.UserAgent = "agentctl/" + version.Version
		if diff := cmp.Diff(tt.want.WithDefaults(), got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(target.Target{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err := (&TargetOptions{Preset: "squid", URL: "http://h/all"}).Target()
	if err == nil || !strings.Contains(err.Error(), "url: all events would ask for one path, where preset squid has {{path}}") {
		t.Errorf("a path without a placeholder: %v", err)
	}
}
