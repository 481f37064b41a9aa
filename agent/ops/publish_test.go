package ops

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/durable"
	"agentctl/agent/publish"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
)

// publisher publishes nothing, and keeps what it was given.
type publisher struct {
	mu     sync.Mutex
	events []string // name, payload, coalesce
}

func (p *publisher) publish(_ context.Context, n int, name string, payload []byte, coalesce bool) (sent publish.Sent, r durable.Report, err error) {
	if n > 3 {
		return sent, r, &durable.TooFewError{Wanted: n, Able: []string{"n1", "n2", "n3"}, Why: map[string]string{"n4": "has no -data-dir"}}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, fmt.Sprintf("%s %s %v", name, payload, coalesce))
	sent = publish.Sent{UserEvent: serf.UserEvent{LTime: serf.LamportTime(len(p.events)), Name: name, Payload: payload}, Unreached: []string{"stock"}, Warning: "one is stock"}
	if n == 3 {
		return sent, durable.Report{Wanted: n, Have: []string{"n2"}, Missing: map[string]string{"n1": "slow"}}, nil
	}
	return sent, durable.Report{Wanted: n, Have: []string{"n1", "n2"}[:min(n, 2)]}, nil
}

func (p *publisher) published() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events
}

// rig is an endpoint that publishes by p.
func (p *publisher) rig(t *testing.T, change func(*Config)) *rig {
	return newRigWith(t, journal.Config{}, func(c *Config) {
		c.Publish, c.MaxEvent, c.Ceiling = p.publish, 512, 1024
		change(c)
	})
}

func TestPublishIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := new(publisher)
		r := p.rig(t, func(*Config) {})
		for i, test := range []struct {
			query, typ, body string
			payload          string
			coalesce         bool
		}{
			{"", "application/json", `{"name":"e","payload":"text"}`, "text", false},
			{"", "application/json", `{"name":"e","payload_base64":"AP8K","coalesce":true}`, "\x00\xff\n", true},
			{"?name=e", "application/octet-stream", "\x00", "\x00", false},
			{"?name=e&coalesce=true", "application/json", "{}", "{}", true},
		} {
			var got api.PublishReport
			if status, text := r.ask(t, "POST", "/v1/events"+test.query, test.body, &got, "Content-Type", test.typ); status != http.StatusAccepted {
				t.Errorf("%s %s: %d %s", test.query, test.body, status, text)
				continue
			}
			want := api.PublishReport{
				ID: handler.NewUser(uint64(i+1), "e", []byte(test.payload), time.Time{}).ID, Name: "e", LTime: uint64(i + 1),
				Unreached: []string{"stock"}, Warning: "one is stock",
			}
			testkit.Want(t, "the answer", got, want)
			testkit.Want(t, "the event", p.published()[i], fmt.Sprintf("e %s %v", test.payload, test.coalesce))
		}
	})
}

// A durable publish is answered 200 if it reached as many nodes as were asked for, and 202
// if the event is published, and fewer have it. It is refused before it is published.
func TestDurablePublishIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := new(publisher)
		r := p.rig(t, func(*Config) {})
		for _, test := range []struct {
			query  string
			status int
			want   *api.DurableReport
			err    string
		}{
			{"durable=1", 200, &api.DurableReport{Wanted: 1, Have: 1, Nodes: []string{"n1"}}, ""},
			{"durable=2&wait=3s&coalesce=true", 200, &api.DurableReport{Wanted: 2, Have: 2, Nodes: []string{"n1", "n2"}}, ""},
			{"durable=3", 202, &api.DurableReport{Wanted: 3, Have: 1, Nodes: []string{"n2"}, Missing: map[string]string{"n1": "slow"}}, ""},
			{"durable=4", 409, nil, "nothing was published: 3 nodes keep their journals on disks (n1, n2, n3); n4: has no -data-dir"},
			{"durable=0", 400, nil, `durable: "0" is not a number of nodes from 1 to 10000`},
			{"durable=10001", 400, nil, "from 1 to 10000"},
			{"durable=", 400, nil, "from 1 to 10000"},
			{"durable=1&durable=2", 400, nil, "give it once"},
			{"durable=1&wait=21s", 400, nil, `wait: "21s" is not a duration above 0s and up to 20s`},
			{"durable=1&wait=0s", 400, nil, "above 0s"},
			{"wait=1s", 400, nil, "wait is given without durable"},
		} {
			before := len(p.published())
			var got api.PublishReport
			status, text := r.ask(t, "POST", "/v1/events?name=e&"+test.query, "x", &got, "Content-Type", "application/octet-stream")
			if status != test.status || !strings.Contains(text, test.err) {
				t.Errorf("%s: %d %s, want %d %s", test.query, status, text, test.status, test.err)
			}
			testkit.Want(t, test.query, got.Durable, test.want)
			if sent := len(p.published()) > before; sent != (test.want != nil) || sent && got.ID == "" {
				t.Errorf("%s: published %v, ID %q", test.query, sent, got.ID)
			}
		}

		// It goes with a body of JSON, too.
		var got api.PublishReport
		if status, text := r.ask(t, "POST", "/v1/events?durable=1", `{"name":"e"}`, &got, "Content-Type", "application/json"); status != 200 || got.Durable == nil {
			t.Errorf("%d %s", status, text)
		}
	})
}

// Durable publishes that wait leave connections for others.
func TestDurablePublishesHaveALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hang := make(chan struct{})
		r := newRigWith(t, journal.Config{}, func(c *Config) {
			c.MaxEvent = 512
			c.Publish = func(_ context.Context, n int, _ string, _ []byte, _ bool) (sent publish.Sent, r durable.Report, err error) {
				if n > 0 {
					<-hang
				}
				return sent, durable.Report{Wanted: n, Have: []string{"n"}}, nil
			}
		})
		ask := func(query string) int {
			status, _ := r.ask(t, "POST", "/v1/events?name=e"+query, "x", nil, "Content-Type", "application/octet-stream")
			return status
		}
		var all sync.WaitGroup
		for range api.MaxDurableWaiting {
			all.Go(func() {
				if status := ask("&durable=1"); status != 200 {
					t.Errorf("status %d", status)
				}
			})
		}
		synctest.Wait()
		testkit.Want(t, "one too many, and a plain publish", []int{ask("&durable=1"), ask("")}, []int{503, 202})
		close(hang)
		all.Wait()
		testkit.Want(t, "status", ask("&durable=1"), 200)
	})
}

func TestPublishOverHTTPIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := new(publisher)
		r := p.rig(t, func(*Config) {})
		const octets = "application/octet-stream"
		for _, test := range []struct {
			query, typ, body string
			status           int
			text             string
		}{
			{"?name=e", octets, strings.Repeat("x", 513), 413, "the payload has more than 512 bytes"},
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
		if got := p.published(); got != nil {
			t.Errorf("published all the same: %q", got)
		}
	})
}

// With a token, publishing and replaying need it; asking does not. A new one
// needs no restart.
func TestTokenOfTheOperationsEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		file := testkit.WriteFile(t, "one\n")
		p := new(publisher)
		r := p.rig(t, func(c *Config) { c.TokenFile = file })
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
		if status, text := r.ask(t, "POST", "/v1/dismiss", `{"target":"x","all":true}`, nil); status != 401 {
			t.Errorf("dismissed without a token: %d %s", status, text)
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
		if got := p.published(); len(got) != 3 {
			t.Errorf("%d events were published, want 3", len(got))
		}
	})
}

func TestPublishErrorsAsAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		status int
	}{
		{&publish.SizeError{Name: 1, Payload: 9000, Limit: 9216, Encoded: 9230, MaxMessage: 9216}, 413},
		{publish.ErrReserved, 400},
		{fmt.Errorf("publishing: %w", publish.ErrStopping), 503},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), 503},
	} {
		if got, ok := errors.AsType[*httpError](publishError(test.err, publishWait)); !ok || got.status != test.status {
			t.Errorf("%v is answered with %+v, want %d", test.err, got, test.status)
		}
	}
	if err := publishError(context.Canceled, publishWait); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err) // of a client that has gone
	}
}
