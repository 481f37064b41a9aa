package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// payloads are what command lines can carry and something on the way might
// change.
var payloads = []string{
	`{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}`,
	`quotes " ' and \ and $HOME`,
	"two\nlines",
	"\xff\xfe bytes",
	"世界 🎉",
	"]=] os.exit() --[=[",
}

func (c *mixed) testEvents(t *testing.T) {
	var want []string
	publish := func(n *proc.Node, path, payload string) {
		want = append(want, payload)
		proc.Output(t, path, "event", "-coalesce=false", "-rpc-addr="+n.RPC, "kong", payload)
	}
	c.each(func(n *proc.Node, program, path string) {
		publish(n, path, fmt.Sprintf("%s from %s with %s", payloads[len(want)%len(payloads)], n.Name, program))
	})
	// Of another name: for nobody.
	proc.Output(t, "agentctl", "event", "-coalesce=false", "-rpc-addr="+c.nodes["ours1"].RPC, "other", "x")
	// What no command line can carry.
	file := filepath.Join(t.TempDir(), "payload")
	binary := "a\x00b\xff " + strings.Repeat("x", 400)
	if err := os.WriteFile(file, []byte(binary), 0o600); err != nil {
		t.Fatal(err)
	}
	want = append(want, binary)
	proc.Output(t, "agentctl", "event", "-coalesce=false", "-payload-file="+file, "-rpc-addr="+c.nodes["old"].RPC, "kong")
	slices.Sort(want)

	arrived := func(where string, got func() []string) {
		t.Helper()
		testkit.Poll(func() bool { return len(got()) >= len(want) })
		have := got()
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%s has %d events, want %d:\n%q\nwant\n%q", where, len(have), len(want), have, want)
		}
	}
	check := func() {
		t.Helper()
		for name, gw := range c.gateways {
			arrived("the gateway of "+name, func() (out []string) {
				for _, p := range gw.TakenUser() {
					out = append(out, string(p.Body))
				}
				return out
			})
		}
		for name, file := range c.logs {
			arrived("the script of "+name, func() []string { return proc.Logged(t, file) })
		}
	}
	check()
	// One more on top of them: had any been on its way a second time, it would
	// have come first.
	want = append(want, "last")
	proc.Output(t, "agentctl", "event", "-coalesce=false", "-rpc-addr="+c.nodes["new"].RPC, "kong", "last")
	slices.Sort(want)
	check()
	c.checkHeaders(t)
}

// checkHeaders checks what gateways were told beside the payloads, and that
// both were told the same.
func (c *mixed) checkHeaders(t *testing.T) {
	ids := map[string]string{} // by payload
	for name, gw := range c.gateways {
		for _, p := range gw.TakenUser() {
			h := p.Header
			var ltime uint64
			if _, err := fmt.Sscan(h.Get("X-Serf-Event-Ltime"), &ltime); err != nil || ltime == 0 {
				t.Errorf("%s: Lamport time of %s: %q %v", name, p, h.Get("X-Serf-Event-Ltime"), err)
			}
			want := handler.Event{Type: handler.User, Name: "kong", LTime: ltime, Payload: p.Body}
			want.ID = handler.NewUser(ltime, want.Name, p.Body, want.Time).ID
			if p.Path != "POST /cluster/events/" || h.Get("Content-Type") != "application/json" ||
				h.Get("X-Serf-Event-Name") != want.Name || h.Get("X-Serf-Event-Id") != want.ID ||
				!strings.HasPrefix(h.Get("User-Agent"), "agentctl/") {
				t.Errorf("%s: %s %v, want the ID %s", name, p.Path, h, want.ID)
			}
			if other, ok := ids[string(p.Body)]; ok && other != want.ID {
				t.Errorf("%s: the ID is %s, elsewhere it is %s", name, want.ID, other)
			}
			ids[string(p.Body)] = want.ID
		}
	}
}
