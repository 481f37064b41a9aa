package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// opsNode is an agent with a gateway that gets its user events, and its
// operations endpoint.
func opsNode(t *testing.T, change ...func(*config.Options)) (n gatewayNode, r *apiRig) {
	t.Helper()
	n = startWithGateway(t, change...)
	r = &apiRig{Server: httptest.NewServer(n.newOps().Handler), agent: n.Agent}
	t.Cleanup(r.Close)
	return n, r
}

func TestPublishOverHTTP(t *testing.T) {
	t.Parallel()
	n, r := opsNode(t)
	other := startWithGateway(t)
	join(t, n.node, other.node)
	binary := "\x00\xff\n"
	var want []string
	for _, test := range []struct {
		query, typ, body string
		payload          string
		coalesce         bool
	}{
		{"", "application/json", `{"name":"e","payload":"text <&> ü"}`, "text <&> ü", false},
		{"", "application/json; charset=utf-8", `{"name":"e","payload_base64":"AP8K"}`, binary, false},
		{"", "application/json", `{"name":"e","payload":"c","coalesce":true}`, "c", true},
		{"", "application/json", `{"name":"e"}`, "", false},
		{"?name=e", "application/octet-stream", binary + "2", binary + "2", false},
		{"?name=e", "application/json", `{"type":"ENTITY_UPDATED"}`, `{"type":"ENTITY_UPDATED"}`, false},
		{"?name=e&coalesce=true", "application/x-anything", "d", "d", true},
		{"?name=e", "application/octet-stream", strings.Repeat("x", 511), strings.Repeat("x", 511), false},
	} {
		var got api.PublishReport
		heard := make(chan bool, 1)
		cancel := n.intake.Subscribe(func(e serf.Event) {
			if u, ok := e.(serf.UserEvent); ok {
				heard <- u.Coalesce
			}
		})
		if status, text := r.ask(t, "POST", "/v1/events"+test.query, test.body, &got, "Content-Type", test.typ); status != http.StatusAccepted {
			t.Errorf("%s %s: %d %s", test.query, test.body, status, text)
			cancel()
			continue
		}
		id := handler.NewUser(got.LTime, "e", []byte(test.payload), n.intake.began).ID
		if got.ID != id || got.Name != "e" || got.LTime == 0 {
			t.Errorf("%s %s: answered %+v, want the ID %s", test.query, test.body, got, id)
		}
		testkit.WaitFor(t, "the event with the ID that was answered", func() bool {
			_, known := other.journal.Find(id)
			return known
		})
		if c := <-heard; c != test.coalesce {
			t.Errorf("%s %s: may coalesce: %v", test.query, test.body, c)
		}
		cancel()
		want = append(want, test.payload)
	}
	n.has(t, want)
	other.has(t, want)
}

func TestPublishOverHTTPIsRefused(t *testing.T) {
	t.Parallel()
	n, r := opsNode(t, func(o *config.Options) { o.MaxEventSize = 0 })
	const octets = "application/octet-stream"
	for _, test := range []struct {
		query, typ, body string
		status           int
		text             string
	}{
		{"?name=e", octets, strings.Repeat("x", 512), 413, "the event has 513 bytes (name 1, payload 512), the limit is 512"},
		{"?name=e", octets, strings.Repeat("x", 513), 413, "the payload has more than 512 bytes"},
		{"", "application/json", `{"name":"e","payload":"` + strings.Repeat("x", 512) + `"}`, 413, "the limit is 512"},
		{"", "application/json", `{"name":"e","payload":"` + strings.Repeat("x", api.MaxRequest) + `"}`, 413, "larger than 2097152 bytes"},
		{"?name=e", "text/plain", "x", 415, "a web page's form"},
		{"?name=e", "text/plain; charset=utf-8", "x", 415, "a web page's form"},
		{"?name=e", "Application/X-WWW-Form-Urlencoded", "x=y", 415, "application/octet-stream"},
		{"?name=e", "multipart/form-data; boundary=x", "x", 415, "application/octet-stream"},
		{"?name=e", "", "x", 415, "application/octet-stream"},
		{"?name=e", "text/plain, application/json", "x", 415, "application/octet-stream"},
		{"", "text/plain", `{"name":"e"}`, 415, "application/json"},
		{"", octets, `{"name":"e"}`, 415, "application/json"},
		{"?name=", octets, "x", 400, "no name"},
		{"", "application/json", `{"payload":"x"}`, 400, "no name"},
		{"", "application/json", `{"name":"e","payload":"x","payload_base64":"eA=="}`, 400, "both"},
		{"", "application/json", `{"name":"e","paylaod":"x"}`, 400, "paylaod"},
		{"", "application/json", `{"name":"e","payload_base64":"?"}`, 400, "base64"},
		{"", "application/json", `{"name":"e","payload":"` + "\xff" + `"}`, 400, "not UTF-8"},
		{"", "application/json", `{"name":"e"}{}`, 400, "more follows"},
		{"", "application/json", ``, 400, "EOF"},
		{"?name=e&coalesce=perhaps", octets, "x", 400, "true or false"},
		{"?name=e&name=f", octets, "x", 400, "give it once"},
		{"?coalesce=false", "application/json", `{"name":"e"}`, 400, "no name"},
		{"?name=e&payload=x", octets, "x", 400, `unknown parameter "payload"`},
		{"?name=%zz", octets, "x", 400, "cannot be read"},
		{"?name=agentctl-large", octets, "x", 400, "agentctl's own"},
	} {
		status, text := r.ask(t, "POST", "/v1/events"+test.query, test.body, nil, "Content-Type", test.typ)
		if status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s %s %.50s: %d %q, want %d %q", test.query, test.typ, test.body, status, text, test.status, test.text)
		}
	}
	if status, _ := r.ask(t, "POST", "/v1/events?name=e", "x", nil, "Content-Type", octets, "Host", "evil.example"); status != http.StatusMisdirectedRequest {
		t.Errorf("for another host: %d", status)
	}
	if status, text := r.ask(t, "PUT", "/v1/events", "x", nil); status != http.StatusMethodNotAllowed || !strings.Contains(text, "use GET, POST") {
		t.Errorf("PUT: %d %q", status, text)
	}
	// What is left over is that nothing of it was published.
	publishAll(t, n.Agent, "only")
	n.has(t, []string{"only"})
}

// With a token, publishing and replaying need it; asking does not. A new one
// needs no restart.
func TestTokenOfTheOperationsEndpoint(t *testing.T) {
	t.Parallel()
	file := testkit.WriteFile(t, "one\n")
	n, r := opsNode(t, func(o *config.Options) { o.HTTPTokenFile = file })
	publish := func(header ...string) int {
		status, _ := r.ask(t, "POST", "/v1/events?name=e", "x", nil, append(header, "Content-Type", "application/octet-stream")...)
		return status
	}
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer on": 401, "Bearer onee": 401, "Basic one": 401, "one": 401,
		"Bearer one": 202, "bearer one": 202,
	} {
		if got := publish("Authorization", header); got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"x","buried":true}`, nil); status != 401 || !strings.Contains(text, "-http-token-file") {
		t.Errorf("a replay without the token: %d %q", status, text)
	}
	if status, _ := r.ask(t, "GET", "/v1/events", "", nil); status != 200 {
		t.Errorf("asking without the token: %d", status)
	}
	testkit.WriteTo(t, file, "two")
	if one, two := publish("Authorization", "Bearer one"), publish("Authorization", "Bearer two"); one != 401 || two != 202 {
		t.Errorf("with a new token: the old one %d, the new one %d", one, two)
	}
	testkit.WriteTo(t, file, "")
	if got := publish("Authorization", "Bearer "); got != 500 {
		t.Errorf("with no token in the file: %d", got)
	}
	if got := testkit.Counter(t, n.registry, "agentctl_events_published_total", "success"); got != 3 {
		t.Errorf("%v events were published, want 3", got)
	}
}

func TestPublishErrorsAsAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		status int
	}{
		{&SizeError{Name: 1, Payload: 9000, Limit: 9216, Encoded: true}, 413},
		{errStopping, 503},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), 503},
	} {
		if got, ok := errors.AsType[*apiError](publishError(test.err)); !ok || got.status != test.status {
			t.Errorf("%v is answered with %+v, want %d", test.err, got, test.status)
		}
	}
	if err := publishError(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err) // of a client that has gone
	}
}
