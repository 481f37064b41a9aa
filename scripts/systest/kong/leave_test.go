//go:build unix

package kong

import (
	"fmt"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// TestLeaveIsSeenAsLeft has a node of Kong's leave a stock member and end at once: to
// the member it has left, and not failed, and what it published last has arrived.
func TestLeaveIsSeenAsLeft(t *testing.T) {
	dir := t.TempDir()
	log := dir + "/events"
	member := proc.NewStock(t, "member", stock.V085, "-profile=wan", "-encrypt="+proc.FirstKey,
		"-event-handler=user:kong=base64 -w0 >>"+log+"; echo >>"+log)
	k := newKongNode(t, proc.BuildAs(t, "serf"))
	k.flags = []string{"-join " + member.Gossip}
	if err := k.start("true"); err != nil {
		t.Fatal(err)
	}
	status := func() (s string) {
		for name, m := range proc.MembersAt(t, member) {
			if name != "member" {
				s += m.Status
			}
		}
		return s
	}
	testkit.WaitFor(t, "the member to see the node", func() bool { return status() == "alive" })
	const events = 5
	for i := range events {
		if _, err := k.call(fmt.Sprintf("event -coalesce=false -rpc-addr=RPC kong %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if out, err := k.call("leave -rpc-addr=RPC"); err != nil || out != "Graceful leave complete\n" {
		t.Fatalf("leave: %v: %q", err, out)
	}
	t.Logf("SUMMARY a leave on wan with one other member took %v", time.Since(began).Round(time.Millisecond))
	if s := status(); s != "left" {
		t.Errorf("when the leave is answered, the member sees the node as %q", s)
	}
	testkit.WaitFor(t, "the last events at the member", func() bool { return len(proc.Logged(t, log)) == events })
	if s := status(); s != "left" {
		t.Errorf("then the member sees the node as %q", s)
	}
}
