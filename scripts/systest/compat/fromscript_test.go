package compat

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/handler"
	"agentctl/handler/shim"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// Stock serf starts a handler for each event. The handler's environment and input
// must make the event that went in.
func TestFromScriptUnderStockSerf(t *testing.T) {
	for _, version := range stock.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			serf, dir := stock.Serf(t, version), t.TempDir()
			script := filepath.Join(dir, "handler.sh")
			err := os.WriteFile(script, []byte(`#!/bin/sh
f="`+dir+`/$SERF_EVENT"
cat > "$f.stdin"
env -0 > "$f.part"
mv "$f.part" "$f.env"
`), 0o755)
			if err != nil {
				t.Fatal(err)
			}
			n := proc.NewStock(t, "n1", version, "-tag=role=gw", "-tag=zone=a,b", "-event-handler="+script)
			host, _, err := net.SplitHostPort(n.Gossip)
			if err != nil {
				t.Fatal(err)
			}

			join := scriptEvent(t, dir, handler.MemberJoin)
			line := strings.SplitN(string(join.Payload), "\t", 4)
			if len(line) != 4 || line[0] != "n1" || line[1] != host || line[2] != "gw" || !strings.HasSuffix(line[3], "\n") {
				t.Errorf("member line %q", join.Payload)
			}
			// Serf orders tags by chance; up to that the line is ours.
			ours := string(handler.MemberLine("n1", host, "gw", map[string]string{"zone": "a,b", "role": "gw"}))
			other := "n1\t" + host + "\tgw\tzone=a,b,role=gw\n"
			if got := string(join.Payload); got != ours && got != other {
				t.Errorf("serf wrote %q, MemberLine %q", got, ours)
			}

			payload := "{\"a\":\"]=]'\\\xff\"}\n x"
			proc.Output(t, serf, "event", "-rpc-addr="+n.RPC, "-coalesce=false", "kong", payload)
			got := scriptEvent(t, dir, handler.User)
			if want := handler.NewUser(got.LTime, "kong", []byte(payload), got.Time); got.ID != want.ID || string(got.Payload) != payload || got.LTime == 0 {
				t.Errorf("got %+v, want %+v", got, want)
			}

			proc.Output(t, serf, "query", "-rpc-addr="+n.RPC, "-timeout=200ms", "q", "p")
			got = scriptEvent(t, dir, handler.Query)
			if got.Name != "q" || string(got.Payload) != "p" || got.LTime == 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// scriptEvent waits for the handler to have run for an event of the type.
func scriptEvent(t *testing.T, dir string, typ handler.Type) handler.Event {
	t.Helper()
	base := filepath.Join(dir, string(typ))
	var environ []byte
	testkit.WaitFor(t, "the handler has run for "+string(typ), func() bool {
		var err error
		environ, err = os.ReadFile(base + ".env")
		return err == nil
	})
	stdin, err := os.Open(base + ".stdin")
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	e, err := shim.FromScript(strings.Split(string(environ), "\x00"), stdin)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
