//go:build linux

package network

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// halfCut drops what comes from two hosts.
const halfCut = `table inet cut {
	chain input { type filter hook input priority 0; ip saddr { 10.213.7.1, 10.213.7.2 } drop; }
	chain output { type filter hook output priority 0; ip daddr { 10.213.7.1, 10.213.7.2 } drop; }
}`

// TestStatusOfACluster has six nodes: one whose gateway answers 500, one that is stopped, a
// stock member, one that two of the others cannot reach, and two that are well. The command
// names each rightly.
func TestStatusOfACluster(t *testing.T) {
	net := newNetwork(t)
	asked := net.agent(0, 1)
	var hosts []*netHost // by number less one
	hosts = append(hosts, asked)
	for number := 2; number <= 5; number++ {
		hosts = append(hosts, net.agent(0, number, "-retry-join="+asked.addr))
	}
	program, err := stock.Install(stock.V011)
	if err != nil {
		t.Fatal(err)
	}
	serf := net.host(0, 6)
	serf.run(t, program, "agent", "-node="+serf.name, "-bind="+serf.addr, "-rpc-addr=127.0.0.1:7373", "-profile=lan", "-retry-join="+asked.addr)
	everywhere(t, hosts, "six members", func(h *netHost) bool { return h.sees(t, "alive") == 6 })
	want := map[string]string{
		"node1": "answered", "node2": "answered", "node3": "answered", "node4": "answered", "node5": "answered", "node6": "stock",
	}
	testkit.WaitFor(t, "all to be well", func() bool { return maps.Equal(asked.cluster(t), want) })
	if _, err := status(asked, "-check"); err != nil {
		t.Errorf("-check of a cluster that is well: %v", err)
	}

	if err := hosts[2].gw.Answer(500); err != nil {
		t.Fatal(err)
	}
	hosts[3].nft(t, halfCut)
	if err := hosts[4].Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	proc.Output(t, "agentctl", "event", "-rpc-addr="+asked.RPC, "-coalesce=false", "kong", "event")
	testkit.WaitFor(t, "the answer 500", func() bool { return len(hosts[2].gw.Answered(500)) > 0 })
	want["node3"] = "answered: target gateway retrying: answered 500 Internal Server Error"
	want["node4"] = "silent: it was asked how it is: no answer within 2s"
	want["node5"] = want["node4"]
	var got map[string]string
	if !testkit.PollFor(testkit.Patience, func() bool {
		got = asked.cluster(t)
		if strings.HasPrefix(got["node5"], "failed: ") { // for serf, on a slow machine
			want["node5"] = "failed: serf takes it for failed"
		}
		return maps.Equal(got, want)
	}) {
		t.Errorf("the cluster is\n%v, want\n%v", got, want)
	}
	took := time.Since(began)
	out, err := status(asked, "-check")
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 {
		t.Errorf("-check: %v", err)
	}
	t.Logf("SUMMARY each of six members named rightly %v after the faults\n%s", took.Round(10*time.Millisecond), out)
}

// status is what "status -cluster" prints at a host.
func status(h *netHost, args ...string) (string, error) {
	cmd := exec.Command("agentctl", append([]string{"status", "-cluster", "-http-addr=" + h.HTTP}, args...)...)
	cmd.Env = os.Environ()
	out, err := cmd.Output()
	return string(out), err
}

// cluster is what "status -cluster" says of each member: what came of asking it, and the first
// thing that is not well.
func (h *netHost) cluster(t *testing.T) map[string]string {
	t.Helper()
	out, err := status(h, "-format=json")
	var r api.ClusterReport
	if err == nil {
		err = json.Unmarshal([]byte(out), &r)
	}
	if err != nil {
		t.Fatalf("status: %v\n%s", err, out)
	}
	got := map[string]string{}
	for _, m := range r.Members {
		got[m.Node] = string(m.Answer)
		if len(m.Problems) > 0 {
			p := m.Problems[0]
			if p.Target != "" {
				p.Text = "target " + p.Target + " " + p.Text
			}
			got[m.Node] += ": " + p.Text
		}
	}
	return got
}
