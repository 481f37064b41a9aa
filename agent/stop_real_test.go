//go:build unix

package agent

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
)

// In real time, since a script that does not end stops the clock of a bubble. This
// agent has ports of this machine, and frees them.
func TestEndIsBoundedAndSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	down := "http://" + loopback.Addr() + "/"
	hub, buf := newHub(t)
	a, err := New(compiled(t, options(onLoopback, handlers("user="+down, "user=sleep 1000 & echo $! >"+file+"; wait"), func(o *config.Options) {
		o.DrainTimeout = time.Second
	})), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	n := run(t, a, buf)
	for i := range 7 {
		if err := n.Publish(t.Context(), "e", fmt.Append(nil, i), false); err != nil {
			t.Fatal(err)
		}
	}
	child := testkit.PidIn(t, file)
	n.end(nil)
	if err := n.stopped(t); err != nil {
		t.Error(err)
	}
	for _, addr := range []string{n.GossipAddr(), n.RPCAddr()} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("after the end: %v", err)
			continue
		}
		ln.Close()
	}
	n.hub.Close()
	if n.log.Count("level=ERR", "events were not delivered before the end", down, "waiting=7", "refused") != 1 {
		t.Error("what was not delivered is not told")
	}
	if n.log.Count("level=ERR", "events were not handled before the end", "waiting=6") != 1 {
		t.Error("what was not handled is not told")
	}
	testkit.WaitFor(t, "the script's child to end", func() bool { return testkit.Gone(child) })
}
