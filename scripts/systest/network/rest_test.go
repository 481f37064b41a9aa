package network

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// TestCostAtRest measures what agents send when nothing happens: all of a
// cluster are on one host of its own, so what its loopback has carried is what
// they have sent. Stock serf stands beside it.
func TestCostAtRest(t *testing.T) {
	nodes, seconds := testkit.Setting(t, "AGENTCTL_TEST_REST_NODES", 3, 10), testkit.Setting(t, "AGENTCTL_TEST_REST_SECONDS", 5, 60)
	settle := time.Duration(testkit.Setting(t, "AGENTCTL_TEST_REST_SETTLE", 2, 60)) * time.Second
	net := newNetwork(t)
	ours := net.rest(t, 1, nodes, settle, time.Duration(seconds)*time.Second, func(name, bind, first string) (string, []string) {
		return "agentctl", []string{"agent", "-node=" + name, "-bind=" + bind, "-profile=lan", "-rpc-addr=" + bind + ":7373",
			"-http-addr=off", "-retry-join=" + first, "-event-handler=user:kong=true", "-log-level=warn"}
	})
	stocks := net.rest(t, 2, nodes, settle, time.Duration(seconds)*time.Second, func(name, bind, first string) (string, []string) {
		return stock.Serf(t, stock.V011), []string{"agent", "-node=" + name, "-bind=" + bind, "-profile=lan", "-rpc-addr=" + bind + ":7373",
			"-retry-join=" + first, "-log-level=warn"}
	})
	if ours.bytes <= 0 || stocks.bytes <= 0 {
		t.Errorf("nothing was counted: %+v, %+v", ours, stocks)
	}
	// A round of repair is 1.2 KB a minute; the rest is the bound for a busy machine.
	if ours.bytes > 3*stocks.bytes+50_000 {
		t.Errorf("%.0f bytes a minute and node, stock serf has %.0f", ours.bytes, stocks.bytes)
	}
	t.Logf("SUMMARY at rest, %d nodes, for %d s: ours %.1f KB and %.0f packets a minute and node, stock serf %.1f KB and %.0f",
		nodes, seconds, ours.bytes/1000, ours.packets, stocks.bytes/1000, stocks.packets)
}

// cost is for each node and minute; what is sent to oneself counts too.
type cost struct{ bytes, packets float64 }

// rest runs a cluster on a host and counts what it sends in a while, when it has
// settled.
func (n *network) rest(t *testing.T, number, nodes int, settle, while time.Duration, command func(name, bind, first string) (string, []string)) cost {
	t.Helper()
	h := n.host(0, number)
	var all []*proc.Node
	for i := range nodes {
		name, bind := fmt.Sprintf("rest%d", i), fmt.Sprintf("127.0.%d.%d", 1+i/200, 1+i%200)
		program, args := command(name, bind, "127.0.1.1")
		p, err := proc.Start(h.dir, name, os.Environ(), "ip", append([]string{"netns", "exec", h.namespace, program}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, p)
		all = append(all, &proc.Node{Process: p, Gossip: bind})
		if i == 0 { // the others join it at their first try, and not half a minute later
			testkit.WaitFor(t, "the first member", func() bool { return h.members(all[0]) == 1 })
		}
	}
	testkit.WaitFor(t, fmt.Sprintf("%d members", nodes), func() bool { return h.members(all[0]) == nodes && h.members(all[nodes-1]) == nodes })
	testkit.PollFor(settle, func() bool { return false })
	before, began := h.carried(t), time.Now()
	testkit.PollFor(while, func() bool { return false })
	after := h.carried(t)
	perMinute := time.Since(began).Minutes() * float64(nodes)
	for _, node := range all {
		node.Kill()
	}
	return cost{(after.bytes - before.bytes) / perMinute, (after.packets - before.packets) / perMinute}
}

// carried is what the host's loopback has carried so far.
func (h *netHost) carried(t *testing.T) cost {
	t.Helper()
	var links []struct {
		Stats64 struct {
			Rx struct{ Bytes, Packets float64 }
		}
	}
	out := proc.Output(t, "ip", "-n", h.namespace, "-s", "-j", "link", "show", "lo")
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		t.Fatalf("ip link: %v\n%s", err, out)
	}
	return cost{links[0].Stats64.Rx.Bytes, links[0].Stats64.Rx.Packets}
}

// members is how many members are alive to a node on the host.
func (h *netHost) members(n *proc.Node) int {
	out, _ := exec.Command("ip", "netns", "exec", h.namespace, "agentctl", "members", "-rpc-addr="+n.Gossip+":7373", "-status=alive").Output()
	return strings.Count(string(out), "\n") // none before it is up
}
