package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// memberScript is an event handler that appends each member that an event tells of to
// a file, behind the event's type.
func memberScript(file string) string {
	const types = "member-join,member-leave,member-failed,member-update,member-reap"
	return fmt.Sprintf(`-event-handler=%s=sed "s/^/$SERF_EVENT /" >> %s`, types, file)
}

// toldOf are the events that told a memberScript of a member, in order.
func toldOf(t *testing.T, file, member string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var types []string
	for line := range strings.Lines(string(data)) {
		typ, rest, _ := strings.Cut(line, " ")
		if name, _, _ := strings.Cut(rest, "\t"); name == member {
			types = append(types, strings.TrimPrefix(typ, "member-"))
		}
	}
	return strings.Join(types, " ")
}

// testForcedLeave forces live members to leave, in clusters of two, where
// serf itself does not tell the member. A node of ours lets the member deny it. At a
// node of stock serf a join mends it, or says what does.
func testForcedLeave(t *testing.T) {
	serf := stock.Serf(t, stock.V011)
	ctl := func(n *proc.Node, program string, args ...string) (string, error) {
		args = append([]string{args[0], "-rpc-addr=" + n.RPC}, args[1:]...)
		out, err := exec.Command(program, args...).CombinedOutput()
		return string(out), err
	}
	sees := func(n *proc.Node, member string) string { return proc.MembersAt(t, n)[member].Status }
	must := func(out string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	dir := t.TempDir()
	ourFile, stockFile := filepath.Join(dir, "ours"), filepath.Join(dir, "stock")

	ours := proc.NewAgent(t, "ours", memberScript(ourFile), "-retry-interval=1h") // no round of the rejoiner
	other := proc.NewStock(t, "stock", stock.V011, memberScript(stockFile))
	must(ctl(other, serf, "join", ours.Gossip))
	both := func() bool { return sees(ours, "stock") == "alive" && sees(other, "ours") == "alive" }
	testkit.WaitFor(t, "both to know each other", both)

	// At a node of ours, the member is alive when the command returns.
	for _, args := range [][]string{{"force-leave", "stock"}, {"force-leave", "-prune", "stock"}} {
		must(ctl(ours, "agentctl", args...))
		if !both() {
			t.Errorf("after %v ours lists stock as %q", args, sees(ours, "stock"))
		}
	}
	if n := strings.Count(ours.Printed(), "the node is alive and stays a member"); n != 2 {
		t.Errorf("the log tells it %d times", n)
	}

	// At stock serf, a join at either node mends it.
	for _, at := range []*proc.Node{ours, other} {
		must(ctl(other, serf, "force-leave", "ours"))
		if s := sees(other, "ours"); s != "leaving" {
			t.Fatalf("it is %q in a cluster of two: serf has mended it, and so this test shows nothing", s)
		}
		if at == ours {
			must(ctl(ours, "agentctl", "join", other.Gossip))
		} else {
			must(ctl(other, serf, "join", ours.Gossip))
		}
		testkit.WaitFor(t, "both to be alive again", both)
	}

	// After a prune a join at our node says what mends it, and that does.
	must(ctl(other, serf, "force-leave", "-prune", "ours"))
	testkit.WaitFor(t, "it to be forgotten", func() bool { return sees(other, "ours") == "" })
	out, err := ctl(ours, "agentctl", "join", other.Gossip)
	if err == nil || !strings.Contains(out, "stock: the list of members there lacks this node") || !strings.Contains(out, `run "leave" at this node`) {
		t.Errorf("the join says %q, %v", out, err)
	}
	must(ctl(ours, "agentctl", "leave"))
	if status, err := ours.Exit(); status != 0 || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	ours = proc.NewAgent(t, "ours", memberScript(ourFile+"2"), "-bind="+ours.Gossip, "-join="+other.Gossip)
	testkit.WaitFor(t, "both to know each other again", both)

	testkit.WaitFor(t, "the events at stock", func() bool { return toldOf(t, stockFile, "ours") == "join reap join" })
	// What was not so is not told.
	if got := toldOf(t, ourFile, "stock"); got != "join" {
		t.Errorf("ours was told of stock: %s", got)
	}
}
