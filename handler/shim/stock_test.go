package shim_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/shim"
	"agentctl/scripts/loopback"
	"agentctl/scripts/stock"
)

// Stock serf starts a handler for each event; what it gives that handler must
// make the event that went in.
func TestFromScriptUnderStockSerf(t *testing.T) {
	for _, version := range []string{stock.V011, stock.V085} {
		t.Run(version, func(t *testing.T) {
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
			rpc, gossip := loopback.Addr(), loopback.Addr()
			host, _, err := net.SplitHostPort(gossip)
			if err != nil {
				t.Fatal(err)
			}
			log := &bytes.Buffer{}
			agent := exec.Command(serf, "agent", "-node=n1", "-bind="+gossip, "-rpc-addr="+rpc,
				"-tag=role=gw", "-tag=zone=a,b", "-event-handler="+script)
			agent.Stdout, agent.Stderr = log, log
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				agent.Process.Kill()
				agent.Wait()
				if t.Failed() {
					t.Log(log)
				}
			})

			join := scriptEvent(t, dir, handler.MemberJoin)
			// Serf runs scripts before it listens for RPC.
			await(t, "no RPC at "+rpc, func() bool {
				conn, err := net.Dial("tcp", rpc)
				if err == nil {
					conn.Close()
				}
				return err == nil
			})
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
			if out, err := exec.Command(serf, "event", "-rpc-addr="+rpc, "-coalesce=false", "kong", payload).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := scriptEvent(t, dir, handler.User)
			if want := handler.NewUser(got.LTime, "kong", []byte(payload), got.Time); got.ID != want.ID || string(got.Payload) != payload || got.LTime == 0 {
				t.Errorf("got %+v, want %+v", got, want)
			}

			if out, err := exec.Command(serf, "query", "-rpc-addr="+rpc, "-timeout=200ms", "q", "p").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
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
	await(t, fmt.Sprintf("no %s event", typ), func() bool {
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

// await polls until ok, and fails the test where that takes more than a minute.
func await(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatal(otherwise)
		case <-tick.C:
		}
	}
}
