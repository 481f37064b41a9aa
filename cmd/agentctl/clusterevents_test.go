package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/handler"
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
	publish := func(n *node, path, payload string) {
		want = append(want, payload)
		output(t, path, "event", "-coalesce=false", "-rpc-addr="+n.rpc, "kong", payload)
	}
	c.each(func(n *node, program, path string) {
		publish(n, path, fmt.Sprintf("%s from %s with %s", payloads[len(want)%len(payloads)], n.name, program))
	})
	// Of another name: for nobody.
	output(t, "agentctl", "event", "-coalesce=false", "-rpc-addr="+c.nodes["ours1"].rpc, "other", "x")
	// What no command line can carry.
	file := filepath.Join(t.TempDir(), "payload")
	binary := "a\x00b\xff " + strings.Repeat("x", 400)
	if err := os.WriteFile(file, []byte(binary), 0o600); err != nil {
		t.Fatal(err)
	}
	want = append(want, binary)
	output(t, "agentctl", "event", "-coalesce=false", "-payload-file="+file, "-rpc-addr="+c.nodes["stock8"].rpc, "kong")
	slices.Sort(want)

	arrived := func(where string, got func() []string) {
		t.Helper()
		poll(func() bool { return len(got()) >= len(want) })
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
				for _, p := range gw.takenUser() {
					out = append(out, string(p.body))
				}
				return out
			})
		}
		for name, file := range c.logs {
			arrived("the script of "+name, func() []string { return logged(t, file) })
		}
	}
	check()
	// One more on top of them: had any been on its way a second time, it would
	// have come first.
	want = append(want, "last")
	output(t, "agentctl", "event", "-coalesce=false", "-rpc-addr="+c.nodes["stock11"].rpc, "kong", "last")
	slices.Sort(want)
	check()
	c.checkHeaders(t)
}

// logged is what a stock node's script has appended to its file: an event a
// line, with the newline that serf adds.
func logged(t *testing.T, file string) (payloads []string) {
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		payload, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(line)))
		if err != nil {
			t.Fatalf("%s: %v in %q", file, err, line)
		}
		payloads = append(payloads, strings.TrimSuffix(string(payload), "\n"))
	}
	return payloads
}

// checkHeaders checks what gateways were told beside the payloads, and that
// both were told the same.
func (c *mixed) checkHeaders(t *testing.T) {
	ids := map[string]string{} // by payload
	for name, gw := range c.gateways {
		for _, p := range gw.takenUser() {
			h := p.header
			var ltime uint64
			if _, err := fmt.Sscan(h.Get("X-Serf-Event-Ltime"), &ltime); err != nil || ltime == 0 {
				t.Errorf("%s: Lamport time of %s: %q %v", name, p, h.Get("X-Serf-Event-Ltime"), err)
			}
			want := handler.Event{Type: handler.User, Name: "kong", LTime: ltime, Payload: p.body}
			want.ID = handler.NewUser(ltime, want.Name, p.body, want.Time).ID
			if p.path != "POST /cluster/events/" || h.Get("Content-Type") != "application/json" ||
				h.Get("X-Serf-Event-Name") != want.Name || h.Get("X-Serf-Event-Id") != want.ID ||
				!strings.HasPrefix(h.Get("User-Agent"), "agentctl/") {
				t.Errorf("%s: %s %v, want the ID %s", name, p.path, h, want.ID)
			}
			if other, ok := ids[string(p.body)]; ok && other != want.ID {
				t.Errorf("%s: the ID is %s, elsewhere it is %s", name, want.ID, other)
			}
			ids[string(p.body)] = want.ID
		}
	}
}
