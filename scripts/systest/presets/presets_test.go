//go:build unix

package presets

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// presetFleet is three nodes, each an agent beside a server of its own.
type presetFleet struct {
	caches []*cache
	agents []*proc.Node
}

// newCaches starts a fleet whose targets have a preset.
func newCaches(t *testing.T, k *cacheKind, preset string, origin string) *presetFleet {
	t.Helper()
	program := k.need(t)
	f := &presetFleet{}
	for i := range 3 {
		c := newCache(t, k, program, origin)
		address := c.addr
		if k == caddyKind {
			address = c.admin
		}
		path := filepath.Join(t.TempDir(), "agent.json")
		conf := fmt.Sprintf(`{"targets": [{"name": "cache", "preset": %q, "url": "http://%s", "timeout": "20s"}]}`, preset, address)
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"-config-file=" + path}
		if i > 0 {
			args = append(args, "-join="+f.agents[0].Gossip)
		}
		f.caches = append(f.caches, c)
		f.agents = append(f.agents, proc.NewAgent(t, fmt.Sprintf("n%d", i+1), args...))
	}
	testkit.WaitFor(t, "the agents know each other", func() bool {
		var list struct{ Members []struct{ Status string } }
		out := proc.Output(t, "agentctl", "members", "-rpc-addr="+f.agents[0].RPC, "-format=json")
		return json.Unmarshal([]byte(out), &list) == nil && len(list.Members) == 3
	})
	return f
}

// publish publishes an event at the second node.
func (f *presetFleet) publish(t *testing.T, name, payload string) {
	t.Helper()
	proc.Output(t, "agentctl", "event", "-rpc-addr="+f.agents[1].RPC, name, payload)
}

// answers are the status codes with which a node's server has answered events.
func (f *presetFleet) answers(t *testing.T, i int, name string) (codes []int) {
	t.Helper()
	var list struct {
		Events []struct {
			ID string
		}
	}
	f.ask(t, i, "/v1/events?name="+name, &list)
	for _, e := range list.Events {
		var event struct {
			Targets map[string]struct{ Status int }
		}
		f.ask(t, i, "/v1/events/"+e.ID, &event)
		codes = append(codes, event.Targets["cache"].Status)
	}
	return codes
}

func (f *presetFleet) ask(t *testing.T, i int, path string, into any) {
	t.Helper()
	client := http.Client{Timeout: testkit.Patience}
	res, err := client.Get("http://" + f.agents[i].HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
}

// tried waits until a node has tried in vain to bring an event to its server.
func (f *presetFleet) tried(t *testing.T, i int) {
	t.Helper()
	before := proc.StatusOf(t, f.agents[i])
	testkit.WaitFor(t, "an event waits for the server that is down", func() bool {
		s := proc.StatusOf(t, f.agents[i])
		return s.State == "retrying" && s.Waiting > 0 && s.Retried > before.Retried
	})
}

// An object that three real caches hold is purged from all of them by one
// event, and from one of them that was down once it is back; other objects stay.
func TestPresetsOnRealCaches(t *testing.T) {
	const page, other = "/products/17%20b?size=xl&x=%2F", "/products/18"
	url := `https://` + site + page
	for _, tt := range []struct {
		kind          *cacheKind
		preset, event string
		payloads      []string // all mean the same; in the end it is the first again
		flush         bool
	}{
		{varnishKind, "varnish-purge", "purge", []string{url, `{"host":"` + site + `","path":"` + page + `"}`}, true},
		{varnishKind, "varnish-ban", "ban", []string{
			`{"url":"` + url + `"}`,
			`{"host":"` + site + `","regex":"^/prod[^/]{1,9}/17(%20| )[ab]"}`,
			`{"tags":["none","products-17 b"]}`,
		}, true},
		{nginxKind, "nginx-purge", "purge", []string{url}, false},
		{squidKind, "squid", "purge", []string{url}, false},
	} {
		t.Run(tt.preset, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			f := newCaches(t, tt.kind, tt.preset, o.addr)
			serve := func(what, path string, version int64, caches ...*cache) {
				t.Helper()
				want := fmt.Sprintf("%s%s v%d", site, path, version)
				testkit.WaitFor(t, fmt.Sprintf("%s: all have %s", what, want), func() bool { return allServe(t, caches, path, want) })
			}
			still := func(path string, version int64) {
				t.Helper()
				if want := fmt.Sprintf("%s%s v%d", site, path, version); !allServe(t, f.caches, path, want) {
					t.Fatalf("%q, want all %q", servedBy(t, f.caches, path), want)
				}
			}
			for _, path := range []string{page, other} {
				serve("at first", path, 1, f.caches...)
			}
			for _, payload := range tt.payloads {
				before := o.version.Add(1) - 1
				still(page, before)
				f.publish(t, tt.event, payload)
				serve("after "+payload, page, before+1, f.caches...)
				still(other, 1)
			}

			now := o.version.Add(1)
			still(page, now-1)
			f.caches[2].down()
			f.publish(t, tt.event, tt.payloads[0])
			serve("after an event with one down", page, now, f.caches[:2]...)
			f.tried(t, 2)
			f.caches[2].up(t)
			serve("once it is back", page, now, f.caches[2])
			still(other, 1)
			for i := range f.agents {
				// Each time there was something to purge: not 404. A server that was
				// stopped may have done it already when it is asked again.
				var codes []int
				last := len(tt.payloads)
				if !testkit.Poll(func() bool { codes = f.answers(t, i, tt.event); return len(codes) > last && codes[last] != 0 }) ||
					slices.ContainsFunc(codes[:last], func(code int) bool { return code != http.StatusOK }) ||
					codes[last] != http.StatusOK && (i < 2 || !tt.kind.inMemory) {
					t.Errorf("node %d was answered %v", i+1, codes)
				}
			}

			if !tt.flush {
				return
			}
			now = o.version.Add(1)
			for i := range f.agents {
				proc.Output(t, "agentctl", "replay", "-http-addr="+f.agents[i].HTTP, "-target=cache", "-flush")
			}
			serve("after a flush", page, now, f.caches...)
			serve("after a flush", other, now, f.caches...)
		})
	}
}

// One event gives three real Caddys a new configuration; one that was down gets
// it once it is back, and one that lost it gets the last one by a flush.
func TestPresetCaddyLoad(t *testing.T) {
	f := newCaches(t, caddyKind, "caddy-load", "127.0.0.1:1")
	load := func(text string) {
		f.publish(t, "caddy-config", `{"admin":{"listen":"{env.ADMIN}"},"apps":{"http":{"servers":{"s":{"listen":["{env.SITE}"],"routes":[{"handle":[{"handler":"static_response","body":"`+text+`"}]}]}}}}}`)
	}
	serve := func(text string, caches ...*cache) {
		t.Helper()
		testkit.WaitFor(t, "all serve "+text, func() bool { return allServe(t, caches, "/", text) })
	}
	load("one")
	serve("one", f.caches...)
	f.caches[2].down()
	load("two")
	serve("two", f.caches[:2]...)
	f.tried(t, 2)
	f.caches[2].up(t)
	serve("two", f.caches[2])

	f.caches[0].down()
	f.caches[0].up(t)
	if got := f.caches[0].get(t, "/"); got == "two" {
		t.Fatal("it has not lost its configuration, so the flush will show nothing")
	}
	proc.Output(t, "agentctl", "replay", "-http-addr="+f.agents[0].HTTP, "-target=cache", "-flush")
	serve("two", f.caches[0])
	testkit.WaitFor(t, "the flush is done, and the event was posted three times", func() bool {
		s := proc.StatusOf(t, f.agents[0])
		return s.State == "ok" && s.Flushes == 1 && s.Delivered == 3
	})
}
