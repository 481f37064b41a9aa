package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// runScript is an event handler that appends a line to a file for each member event:
// the event's type, and the members in the order of their names.
func runScript(file string) string {
	const types = "member-join,member-leave,member-failed,member-update,member-reap"
	return fmt.Sprintf(`-event-handler=%s=echo $SERF_EVENT $(sort | tr "\t" "|") >> %s`, types, file)
}

// testMemberEvents has two members join at once, fail, leave and change their
// tags. A script of ours is run as a script of stock serf is: for the same events, with
// the same members in each.
func testMemberEvents(t *testing.T) {
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "ours"), filepath.Join(dir, "stock")}
	ours := proc.NewAgent(t, "ours", runScript(files[0]))
	other := proc.NewStock(t, "stock", stock.V011, runScript(files[1]), "-join="+ours.Gossip)

	text := func(file string) string {
		data, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(data)
	}
	runs := func() (runs [2][]string) {
		for i, file := range files {
			for line := range strings.Lines(text(file)) {
				// Their own start may be told with the other's join, or before it.
				if !strings.Contains(line, "ours|") && !strings.Contains(line, "stock|") {
					// Stock serf puts the tags of a member in no order.
					runs[i] = append(runs[i], strings.TrimSpace(strings.ReplaceAll(line, "v=1,role=x", "role=x,v=1")))
				}
			}
		}
		return runs
	}
	var want []string
	told := func(line string) {
		t.Helper()
		want = append(want, line)
		testkit.WaitFor(t, line, func() bool {
			r := runs()
			return len(r[0]) >= len(want) && len(r[1]) >= len(want)
		})
	}
	testkit.WaitFor(t, "both to be told of each other", func() bool {
		return !slices.ContainsFunc(files, func(file string) bool {
			return !strings.Contains(text(file), "ours|") || !strings.Contains(text(file), "stock|")
		})
	})

	// They know each other before, and so come to each of the others in one full sync. By
	// gossip a busy machine may bring them a second apart, which makes two events.
	a := proc.NewAgent(t, "a", "-tag=role=x")
	b := proc.NewAgent(t, "b", "-join="+a.Gossip)
	testkit.WaitFor(t, "two to be a cluster", func() bool { return proc.Alive(t, b) == 2 && proc.Alive(t, a) == 2 })
	proc.Output(t, "agentctl", "join", "-rpc-addr="+b.RPC, ours.Gossip, other.Gossip)
	told("member-join a|127.0.0.1|x|role=x b|127.0.0.1||")
	b.Kill()
	told("member-failed b|127.0.0.1||")
	proc.Output(t, "agentctl", "force-leave", "-rpc-addr="+ours.RPC, "b")
	told("member-leave b|127.0.0.1||")
	proc.Output(t, "agentctl", "tags", "-rpc-addr="+a.RPC, "-set", "v=1")
	told("member-update a|127.0.0.1|x|role=x,v=1")
	for i, who := range []string{"ours", "stock"} {
		if got := runs()[i]; !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", who, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	// From here on stock serf tells the update again.
	proc.Output(t, "agentctl", "leave", "-rpc-addr="+a.RPC)
	want = append(want, "member-leave a|127.0.0.1|x|role=x,v=1")
	testkit.WaitFor(t, "the leave", func() bool { return len(runs()[0]) >= len(want) })
	if got := runs()[0]; !slices.Equal(got, want) {
		t.Errorf("ours:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
