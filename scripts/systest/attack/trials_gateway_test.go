//go:build linux

package attack

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// What the targets of gatewayTrials are called with. None may show anywhere.
const (
	basicPassword = "basic-password-of-the-target"
	bearerToken   = "bearer-token-of-the-target"
	headerSecret  = "header-secret-of-the-target"
	querySecret   = "query-secret-of-the-target"
)

// gatewayTrials are hostile gateways, and events that aim at a gateway.
var gatewayTrials = []trial{
	{way: hostileGateway, name: "an answer that repeats the request", aim: "secrets", bitBefore: true,
		prepare: func(s *stand) {
			token, password := s.path("token"), s.path("password")
			testkit.WriteTo(s.t, token, bearerToken)
			testkit.WriteTo(s.t, password, basicPassword)
			s.targets = append(s.targets,
				fmt.Sprintf(`{"name": "bearer", "events": "user:secret", "url": "%s/echo?key=%s", "headers": {"X-Key": %q}, "bearer_token_file": %q}`, s.gateway.URL, querySecret, headerSecret, token),
				fmt.Sprintf(`{"name": "basic", "events": "user:secret", "url": "%s/echo", "basic_auth": {"username": "user", "password_file": %q}}`, s.gateway.URL, password))
			s.answer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/echo" {
					return
				}
				w.WriteHeader(http.StatusBadRequest)
				r.Write(w)
				_, password, _ := r.BasicAuth()
				io.WriteString(w, password)
			})
		},
		do: func(s *stand) {
			s.mustEvent("secret", "x")
			testkit.WaitFor(s.t, "both targets refuse the event", func() bool {
				_, text := proc.Get(s.t, s.receiver, "/v1/status")
				return strings.Count(text, `"buried": 1`) >= 2
			})
		},
		bit: func(s *stand) string {
			shown := s.receiver.Printed()
			_, events := proc.Get(s.t, s.receiver, "/v1/events?name=secret")
			id := regexp.MustCompile(`"id": ?"([0-9]+-[0-9a-f]+)"`).FindStringSubmatch(events)
			if id == nil {
				s.t.Fatalf("no event in %s", events)
			}
			for _, path := range []string{"/v1/events", "/v1/events/" + id[1], "/v1/status", "/metrics", "/healthz", "/readyz"} {
				_, text := proc.Get(s.t, s.receiver, path)
				shown += text
			}
			var leaked []string
			for what, secret := range map[string]string{"basic password": basicPassword, "bearer token": bearerToken, "header": headerSecret, "query": querySecret} {
				if strings.Contains(shown, secret) || strings.Contains(shown, base64.StdEncoding.EncodeToString([]byte("user:"+secret))) {
					leaked = append(leaked, what)
				}
			}
			slices.Sort(leaked)
			return achieved("shows secrets: %s", leaked)
		}},
	{way: hostileEvent, name: "text that is no UTF-8, and lone surrogates", aim: "another key", bitBefore: true,
		prepare: func(s *stand) {
			s.targets = append(s.targets, fmt.Sprintf(`{"name": "keys", "events": "user:key", "url": "%s/objects/{{.id}}", "method": "DELETE"}`, s.gateway.URL))
		},
		do: func(s *stand) {
			for _, payload := range []string{"{\"id\": \"a\xff\"}", `{"id": "b\ud800"}`, `{"id": "good"}`} {
				s.mustEvent("key", payload)
			}
			testkit.WaitFor(s.t, "the last event is there", func() bool {
				for _, p := range s.posted() {
					if p.path == "/objects/good" {
						return true
					}
				}
				return false
			})
		},
		bit: func(s *stand) string {
			var other []string
			for _, p := range s.posted() {
				if strings.HasPrefix(p.path, "/objects/") && strings.ContainsRune(p.path, utf8.RuneError) {
					other = append(other, fmt.Sprintf("%+q", p.path))
				}
			}
			return achieved("another key is deleted: %s", other)
		}},
}

// achieved says what there is, if there is anything.
func achieved(format string, what []string) string {
	if len(what) == 0 {
		return ""
	}
	return fmt.Sprintf(format, strings.Join(what, ", "))
}

// mustEvent publishes an event that is none of the honest ones.
func (s *stand) mustEvent(name, payload string) {
	s.t.Helper()
	if err := s.event(s.publisher, name, []byte(payload)); err != nil {
		s.t.Fatal(err)
	}
}
