package cluster

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// TestMisfitNamesTheSetting has serf 0.7.0 and agents that announce protocol 5 refuse
// each other. Whatever a user looks at names the setting that mends it.
func TestMisfitNamesTheSetting(t *testing.T) {
	serf := asSerf(t)
	old := newKongSerf(t, "old", stock.Serf(t, stock.V070))
	const us = "this agent announces serf protocol 5, which not every member understands: start it with -protocol=4, or set AGENTCTL_PROTOCOL=4"

	// At the start: the end of the program, or a line for each try.
	for program, line := range map[string]string{
		"agentctl": "agentctl agent: join: " + us,
		serf:       "join: " + us,
	} {
		p, err := proc.Start(t.TempDir(), "start", os.Environ(), program, proc.AgentArgs("start", "-protocol=5", "-join="+old.Gossip,
			"-event-handler=user:of-no-test=true")...)
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, p)
		if status, err := p.Exit(); err != nil || status != 1 || !strings.Contains(p.Printed(), line) {
			t.Errorf("%s ends with status %d, %v, and without %q:\n%s", program, status, err, line, p.Printed())
		}
	}
	five := proc.NewAgent(t, "five", "-protocol=5", "-retry-join="+old.Gossip)
	says := func(n *proc.Node, parts ...string) {
		t.Helper()
		testkit.WaitFor(t, "the log says "+strings.Join(parts, " and "), func() bool {
			for line := range strings.Lines(n.Printed()) {
				if hasAll(line, parts) {
					return true
				}
			}
			return false
		})
	}
	says(five, "joining failed, trying again", us)

	// The commands that join, ours and stock serf's: Kong shows the first line.
	for _, program := range []string{"agentctl", serf, stock.Serf(t, stock.V011), stock.Serf(t, stock.V070)} {
		out, err := exec.CommandContext(t.Context(), program, "join", "-rpc-addr="+five.RPC, old.Gossip).CombinedOutput()
		first, _, _ := strings.Cut(string(out), "\n")
		if err == nil || !strings.Contains(first, us) {
			t.Errorf("%s join: %v, and its first line does not have %q:\n%s", program, err, us, out)
		}
	}

	// The old one is told by its own serf, and our log says what to do.
	join := func(to *proc.Node) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), old.program, "join", "-rpc-addr="+old.RPC, to.Gossip).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "delegate protocol version (5) is incompatible: [2, 4]") {
			t.Errorf("serf 0.7.0 joins: %v:\n%s", err, out)
		}
	}
	join(five)
	says(five, "Failed push/pull merge", us)

	// Where another member is the one to be started anew, it is named.
	four := proc.NewAgent(t, "four")
	stock5 := proc.NewStock(t, "stock5", stock.V011, "-join="+four.Gossip)
	testkit.WaitFor(t, "the two know each other", func() bool { return proc.Alive(t, four) == 2 && proc.Alive(t, stock5) == 2 })
	const them = `member "stock5" announces serf protocol 5, which not every member understands: start that member with -protocol=4`
	if out, err := exec.CommandContext(t.Context(), "agentctl", "join", "-rpc-addr="+four.RPC, old.Gossip).CombinedOutput(); err == nil || !strings.Contains(string(out), them) {
		t.Errorf("agentctl join: %v, and without %q:\n%s", err, them, out)
	}
	join(four)
	says(four, "Failed push/pull merge", "stock5", "start that member with -protocol=4")
	join(stock5)
}

func hasAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
