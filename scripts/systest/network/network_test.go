package network

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"agentctl/agent/api"
	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// network is two halves of a network, with hosts in namespaces of their own and
// one wire between the halves. Nothing of it reaches the machine's own network.
type network struct {
	t       *testing.T
	name    string // what the names of namespaces begin with
	between string // the namespace of what is between the hosts
	wire    string // an end of it
}

// networks tells the networks of this process from each other.
var networks atomic.Int32

func (n *network) ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *network) must(args ...string) {
	n.t.Helper()
	if err := n.ip(args...); err != nil {
		n.t.Fatal(err)
	}
}

// newNetwork makes the halves, each a bridge in a namespace that has no packet
// filter of the machine's. A test that may not do that is skipped, and
// scripts/check.sh says so.
func newNetwork(t *testing.T) *network {
	t.Helper()
	name := fmt.Sprintf("ac%d%c", os.Getpid()%100_000, 'a'+networks.Add(1)-1)
	n := &network{t: t, name: name, between: name + "s", wire: "wire0"}
	if err := n.ip("netns", "add", n.between); err != nil {
		testkit.NotRun(t, "it needs Linux, and root that may make networks: %v", err)
	}
	t.Cleanup(func() { n.must("netns", "del", n.between) }) // with all that is in it
	n.in("link", "add", n.wire, "type", "veth", "peer", "name", "wire1")
	for half := range 2 {
		bridge := fmt.Sprintf("half%d", half)
		n.in("link", "add", bridge, "type", "bridge")
		n.in("link", "set", bridge, "up")
		n.in("link", "set", fmt.Sprintf("wire%d", half), "master", bridge, "up")
	}
	return n
}

// in is must for what is between the hosts.
func (n *network) in(args ...string) {
	n.t.Helper()
	n.must(append([]string{"-n", n.between}, args...)...)
}

// cut parts the halves, heal joins them.
func (n *network) cut()  { n.t.Helper(); n.in("link", "set", n.wire, "down") }
func (n *network) heal() { n.t.Helper(); n.in("link", "set", n.wire, "up") }

// netHost is a host, and what runs on it.
type netHost struct {
	*proc.Node
	name      string
	namespace string
	addr      string
	dir       string // short, for sockets
	gw        *stub.Gateway
}

// host makes a host in a half.
func (n *network) host(half, number int) *netHost {
	n.t.Helper()
	dir, err := os.MkdirTemp("", "agentctl-")
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { os.RemoveAll(dir) })
	h := &netHost{
		name: fmt.Sprintf("node%d", number), namespace: fmt.Sprintf("%sn%d", n.name, number),
		addr: fmt.Sprintf("10.213.7.%d", number), dir: dir,
	}
	port := fmt.Sprintf("port%d", number)
	n.must("netns", "add", h.namespace)
	n.t.Cleanup(func() { n.must("netns", "del", h.namespace) })
	n.in("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", h.namespace)
	n.in("link", "set", port, "master", fmt.Sprintf("half%d", half), "up")
	n.must("-n", h.namespace, "addr", "add", h.addr+"/24", "dev", "eth0")
	n.must("-n", h.namespace, "link", "set", "eth0", "up")
	n.must("-n", h.namespace, "link", "set", "lo", "up")
	return h
}

// agent makes a host on which an agent of ours runs, with a gateway whose cache
// is emptied by the body "flush".
func (n *network) agent(half, number int, args ...string) *netHost {
	n.t.Helper()
	h := n.host(half, number)
	h.start(n.t, args...)
	return h
}

// start runs an agent of ours on a host, as agent does.
func (h *netHost) start(t *testing.T, args ...string) {
	t.Helper()
	var err error
	if h.gw, err = stub.NewGatewayAt(filepath.Join(h.dir, "gateway")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.gw.Close)
	config, err := json.Marshal(map[string]any{"targets": []any{map[string]any{
		"name": "gateway", "events": "user:kong", "url": h.gw.URL(), "timeout": "1m", "flush": map[string]any{"body": flushBody},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(h.dir, "agent.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	h.run(t, "agentctl", append([]string{"agent", "-node=" + h.name, "-bind=" + h.addr, "-profile=lan", "-config-file=" + file,
		"-rpc-addr=unix:" + filepath.Join(h.dir, "rpc"), "-http-addr=unix:" + filepath.Join(h.dir, "http"),
		"-data-dir=" + filepath.Join(h.dir, "data")}, args...)...)
	h.RPC, h.HTTP = "unix:"+filepath.Join(h.dir, "rpc"), "unix:"+filepath.Join(h.dir, "http")
	if err := h.Answers(); err != nil {
		t.Fatalf("%v\n%s", err, h.Printed())
	}
}

// flushBody is what a gateway's flush request brings.
const flushBody = "flush"

// run runs the host's program until the end of the test.
func (h *netHost) run(t *testing.T, program string, args ...string) {
	t.Helper()
	p, err := proc.Start(h.dir, h.name, os.Environ(), "ip", append([]string{"netns", "exec", h.namespace, program}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	h.Node = &proc.Node{Process: p, Gossip: h.addr}
}

// sees is how many members of a status a host knows.
func (h *netHost) sees(t *testing.T, status string) (count int) {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: h.RPC})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	members, err := c.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.Status == status {
			count++
		}
	}
	return count
}

// report is what "agentctl status" says of a host's one target.
func (h *netHost) report(t *testing.T) (r api.TargetReport) {
	t.Helper()
	var s api.StatusReport
	out := proc.Output(t, "agentctl", "status", "-http-addr="+h.HTTP, "-format=json")
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Targets) != 1 {
		t.Fatalf("status: %v\n%s", err, out)
	}
	return s.Targets[0]
}

// linked is how many others a host has an open link to, whoever opened it.
func (h *netHost) linked(t *testing.T) int {
	t.Helper()
	res := h.get(t, "/v1/status")
	defer res.Body.Close()
	var s api.StatusReport
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		t.Fatalf("status: %v", err)
	}
	return s.Links
}

// metric is the value of a metric of a host's agent, "0" if there is none.
func (h *netHost) metric(t *testing.T, name string) string {
	t.Helper()
	res := h.get(t, "/metrics")
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return n
		}
	}
	return "0"
}

// get asks a host's operations endpoint.
func (h *netHost) get(t *testing.T, path string) *http.Response {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(h.HTTP, "unix:"))
	}}}
	res, err := client.Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// everywhere waits until something holds at each host.
func everywhere(t *testing.T, hosts []*netHost, what string, cond func(h *netHost) bool) {
	t.Helper()
	for _, h := range hosts {
		testkit.WaitFor(t, what+" at "+h.name, func() bool { return cond(h) })
	}
}
