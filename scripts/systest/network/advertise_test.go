package network

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// host is a network namespace: a machine with no addresses but those that a test
// gives it.
type host string

var hosts atomic.Int64

func newHost(t *testing.T) host {
	t.Helper()
	h := host(fmt.Sprintf("acadv%d-%d", os.Getpid()%100_000, hosts.Add(1)))
	if out, err := exec.Command("ip", "netns", "add", string(h)).CombinedOutput(); err != nil {
		testkit.NotRun(t, "it needs Linux, and root that may make networks: %v: %s", err, out)
	}
	t.Cleanup(func() { runIP(t, "netns", "del", string(h)) })
	h.ip(t, "link set lo up")
	return h
}

func runIP(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// ip runs commands of the program ip on the host.
func (h host) ip(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		runIP(t, append([]string{"-n", string(h)}, strings.Fields(line)...)...)
	}
}

// agent starts an agent on the host and waits until it says how others know it.
func (h host) agent(t *testing.T, name string, env []string, flags ...string) (p *proc.Process, gossip string) {
	t.Helper()
	args := append([]string{"netns", "exec", string(h), "agentctl"}, proc.AgentArgs(name, flags...)...)
	p, err := proc.Start(t.TempDir(), name, append(os.Environ(), env...), "ip", args...)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Poll(func() bool {
		if m := proc.RunningLine.FindStringSubmatch(p.Printed()); m != nil {
			gossip = m[1]
		}
		return gossip != "" || p.Ended()
	})
	return p, gossip
}

// advertises checks how others know an agent that runs on the host with such flags, and
// returns what it printed.
func (h host) advertises(t *testing.T, what, want string, env []string, flags ...string) string {
	t.Helper()
	p, got := h.agent(t, "node1", env, flags...)
	defer p.Kill()
	if got != want {
		t.Errorf("%s: it is known as %q, want %q\n%s", what, got, want, p.Printed())
	}
	return p.Printed()
}

// TestAdvertise starts agents on a host with two networks, with no word of an
// address: they are known by that of the default route's interface. The other
// is a bridge as container engines make it, and its network the larger one,
// which memberlist would take.
func TestAdvertise(t *testing.T) {
	h := newHost(t)
	h.ip(t,
		"link add docker0 type bridge",
		"addr add 172.17.0.1/16 dev docker0",
		"link set docker0 up",
		"link add eth0 type veth peer name port0",
		"addr add 10.213.8.5/24 dev eth0",
		"addr add fd00:213::5/64 dev eth0 nodad",
		"link set eth0 up",
		"link set port0 up",
	)
	const any4 = "-bind=0.0.0.0:7946"
	h.advertises(t, "no default route, so the largest network", "172.17.0.1:7946", nil, any4)
	h.ip(t, "route add default via 10.213.8.1")
	h.advertises(t, "bound to all addresses", "10.213.8.5:7946", nil, any4)
	h.advertises(t, "another port", "10.213.8.5:7950", nil, "-bind=0.0.0.0:7950")
	h.advertises(t, "a port alone", "10.213.8.5:7950", nil, "-bind=:7950")
	h.advertises(t, "-advertise", "172.17.0.1:7947", nil, any4, "-advertise=172.17.0.1:7947")
	h.advertises(t, "AGENTCTL_ADVERTISE", "172.17.0.1:7946", []string{"AGENTCTL_ADVERTISE=172.17.0.1"}, any4)
	h.advertises(t, "-bind to one address", "172.17.0.1:7946", nil, "-bind=172.17.0.1")
	h.advertises(t, "IPv6 without a default route of its own", "10.213.8.5:7946", nil, "-bind=[::]:7946")
	h.ip(t, "-6 route add default via fd00:213::1 dev eth0")
	h.advertises(t, "IPv6", "[fd00:213::5]:7946", nil, "-bind=[::]")
}

// TestAdvertiseWhatThereIs starts agents on hosts that have few addresses, or none
// that memberlist calls private: they start all the same.
func TestAdvertiseWhatThereIs(t *testing.T) {
	h := newHost(t)
	all := func(what, want string, warns bool, binds ...string) {
		t.Helper()
		for _, bind := range binds {
			printed := h.advertises(t, what+", "+bind, want, nil, bind)
			if strings.Contains(printed, "this machine has no address that others surely reach") != warns {
				t.Errorf("%s, %s: a warning, %v:\n%s", what, bind, !warns, printed)
			}
		}
	}
	all("loopback alone", "127.0.0.1:7946", true, "-bind=0.0.0.0", "-bind=:7946", "-bind=")
	all("loopback alone", "[::1]:7946", true, "-bind=[::]")
	h.ip(t,
		"link add eth0 type veth peer name port0",
		"addr add 169.254.7.5/16 dev eth0",
		"link set eth0 up",
		"link set port0 up",
	)
	all("link-local", "169.254.7.5:7946", true, "-bind=0.0.0.0", "-bind=[::]")
	h.ip(t, "addr add 203.0.113.5/24 dev eth0")
	all("a public address", "203.0.113.5:7946", false, "-bind=0.0.0.0:7946", "-bind=:7946", "-bind=[::]")
}

// TestAllAddressesAreOfBothFamilies has agents of two hosts with only IPv6 between
// them join, one of them bound to all addresses as IPv4 writes it.
func TestAllAddressesAreOfBothFamilies(t *testing.T) {
	a, b := newHost(t), newHost(t)
	runIP(t, "-n", string(a), "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", string(b))
	a.ip(t, "addr add 2001:db8:213::a/64 dev eth0 nodad", "link set eth0 up")
	b.ip(t, "addr add 2001:db8:213::b/64 dev eth0 nodad", "link set eth0 up")
	gossip := []string{"-peer-links=false", "-direct-send=false", "-log-level=debug"}
	one, addr := a.agent(t, "one", nil, append(gossip, "-bind=:7946", "-rpc-addr=127.0.0.1:7373", "-event-handler=user:hello=cat")...)
	defer one.Kill()
	if addr != "[2001:db8:213::a]:7946" {
		t.Fatalf("it is known as %q\n%s", addr, one.Printed())
	}
	two, addr := b.agent(t, "two", nil, append(gossip, "-bind=[::]", "-rpc-addr=127.0.0.1:7373", "-join="+addr)...)
	defer two.Kill()
	if addr != "[2001:db8:213::b]:7946" {
		t.Fatalf("it is known as %q\n%s", addr, two.Printed())
	}
	testkit.WaitFor(t, "both to be alive for both", func() bool {
		for _, h := range []host{a, b} {
			out, _ := exec.Command("ip", "netns", "exec", string(h), "agentctl", "members", "-status=alive").CombinedOutput()
			if strings.Count(string(out), "alive") != 2 {
				return false
			}
		}
		return true
	})
	if out, err := exec.Command("ip", "netns", "exec", string(b), "agentctl", "event", "-coalesce=false", "hello", "through-gossip").CombinedOutput(); err != nil {
		t.Fatalf("event: %v: %s", err, out)
	}
	testkit.WaitFor(t, "the event to arrive", func() bool { return strings.Contains(one.Printed(), "through-gossip") })
}
