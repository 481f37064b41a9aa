package network

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// TestAdvertise starts agents on a host with two networks, with no word of an
// address: they are known by that of the default route's interface. The other
// is a bridge as container engines make it, and its network the larger one,
// which memberlist would take.
func TestAdvertise(t *testing.T) {
	host := fmt.Sprintf("acadv%d", os.Getpid()%100_000)
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	if out, err := exec.Command("ip", "netns", "add", host).CombinedOutput(); err != nil {
		testkit.NotRun(t, "it needs Linux, and root that may make networks: %v: %s", err, out)
	}
	t.Cleanup(func() { ip("netns", "del", host) })
	for _, line := range []string{
		"link set lo up",
		"link add docker0 type bridge",
		"addr add 172.17.0.1/16 dev docker0",
		"link set docker0 up",
		"link add eth0 type veth peer name port0",
		"addr add 10.213.8.5/24 dev eth0",
		"addr add fd00:213::5/64 dev eth0 nodad",
		"link set eth0 up",
		"link set port0 up",
	} {
		ip(append([]string{"-n", host}, strings.Fields(line)...)...)
	}
	check := func(what, want string, env []string, flags ...string) {
		t.Helper()
		dir := t.TempDir()
		args := append([]string{"netns", "exec", host, "agentctl"}, proc.AgentArgs("node1", flags...)...)
		p, err := proc.Start(dir, "node1", append(os.Environ(), env...), "ip", args...)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Kill()
		var gossip string
		if !testkit.Poll(func() bool {
			if m := proc.RunningLine.FindStringSubmatch(p.Printed()); m != nil {
				gossip = m[1]
			}
			return gossip != "" || p.Ended()
		}) || gossip != want {
			t.Errorf("%s: it is known as %q, want %q\n%s", what, gossip, want, p.Printed())
		}
	}
	const any4 = "-bind=0.0.0.0:7946"
	check("no default route, so memberlist chooses", "172.17.0.1:7946", nil, any4)
	ip("-n", host, "route", "add", "default", "via", "10.213.8.1")
	check("bound to all addresses", "10.213.8.5:7946", nil, any4)
	check("another port", "10.213.8.5:7950", nil, "-bind=0.0.0.0:7950")
	check("-advertise", "172.17.0.1:7947", nil, any4, "-advertise=172.17.0.1:7947")
	check("AGENTCTL_ADVERTISE", "172.17.0.1:7946", []string{"AGENTCTL_ADVERTISE=172.17.0.1"}, any4)
	check("-bind to one address", "172.17.0.1:7946", nil, "-bind=172.17.0.1")
	check("IPv6 without a default route of its own", "10.213.8.5:7946", nil, "-bind=[::]:7946")
	ip("-n", host, "-6", "route", "add", "default", "via", "fd00:213::1", "dev", "eth0")
	check("IPv6", "[fd00:213::5]:7946", nil, "-bind=[::]:7946")
}
