package agent

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// opsRig is the operations endpoint of an agent.
type opsRig struct {
	url    string
	client *http.Client
}

func (r *opsRig) ask(t *testing.T, method, path, body string, v any, header ...string) (int, string) {
	t.Helper()
	return testkit.Ask(t, r.client, r.url, method, path, body, v, header...)
}

// opsNode is an agent with a gateway that gets its user events, and its
// operations endpoint.
func opsNode(t *testing.T, change ...func(*config.Options)) (n gatewayNode, r *opsRig) {
	t.Helper()
	n = startWithGateway(t, append([]func(*config.Options){serveHTTP}, change...)...)
	return n, &opsRig{"http://" + n.HTTPAddr(), memory.Client(t)}
}

func TestPublishOverHTTP(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
			id := handler.NewUser(got.LTime, "e", []byte(test.payload), n.intake.Began()).ID
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
	})
}

// What cannot be published is told to the client, and is not published.
func TestPublishOverHTTPIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, r := opsNode(t, func(o *config.Options) { o.MaxEventSize = 0 })
		const octets = "application/octet-stream"
		for _, test := range []struct {
			query, typ, body string
			status           int
			text             string
		}{
			{"?name=" + strings.Repeat("n", 900), octets, strings.Repeat("x", 512), 413, "the event has 1412 bytes (name 900, payload 512)"},
			{"?name=e", octets, strings.Repeat("x", 513), 413, "the payload has more than 512 bytes"},
			{"", "application/json", `{"name":"e","payload":"` + strings.Repeat("x", 513) + `"}`, 413, "the limit of the payload is 512"},
			{"?name=agentctl-large", octets, "x", 400, "agentctl's own"},
		} {
			status, text := r.ask(t, "POST", "/v1/events"+test.query, test.body, nil, "Content-Type", test.typ)
			if status != test.status || !strings.Contains(text, test.text) {
				t.Errorf("%s %s %.50s: %d %q, want %d %q", test.query, test.typ, test.body, status, text, test.status, test.text)
			}
		}
		publishAll(t, n.Agent, "only")
		n.has(t, []string{"only"})
		if got := testkit.Counter(t, n.Metrics(), "agentctl_events_published_total", "success"); got != 1 {
			t.Errorf("%v events were published, want 1", got)
		}
	})
}
