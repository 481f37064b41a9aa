package network

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// nft sets the packet filter of a host.
func (h *netHost) nft(t *testing.T, rules string) {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", h.namespace, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		testkit.NotRun(t, "it needs nftables: %v: %s", err, out)
	}
}

const (
	closeUDP = `table inet closed {
		chain input { type filter hook input priority 0; udp dport 7946 drop; }
	}`
	openUDP = `delete table inet closed`
)

// TestClosedUDP has agents on hosts whose UDP port is closed from the start, as where
// docker's -p publishes TCP alone. Events go over links, and the port is named until
// it is open.
func TestClosedUDP(t *testing.T) {
	for name, args := range map[string][]string{"lan": nil, "wan, as Kong has it": {"-profile=wan"}} {
		t.Run(name, func(t *testing.T) { closedUDP(t, args) })
	}
}

func closedUDP(t *testing.T, args []string) {
	net := newNetwork(t)
	hosts := make([]*netHost, 3)
	for i := range hosts {
		hosts[i] = net.host(0, i+1)
		hosts[i].nft(t, closeUDP)
	}
	began := time.Now()
	for i, h := range hosts {
		join := append([]string{"-retry-interval=1s"}, args...)
		for _, other := range hosts[:i] {
			join = append(join, "-retry-join="+other.addr)
		}
		h.start(t, join...)
	}
	everywhere(t, hosts, "three members", func(h *netHost) bool { return h.sees(t, "alive") == 3 })
	members := time.Since(began)
	everywhere(t, hosts, "links to be open", func(h *netHost) bool { return h.linked(t) == 2 })
	links := time.Since(began)

	const events = 20
	var slowest time.Duration
	var ways []time.Duration // from the first gateway to the last: without the command's start
	for i := range events {
		begun := time.Now()
		proc.Output(t, "agentctl", "event", "-rpc-addr="+hosts[i%3].RPC, "-coalesce=false", "kong", "event")
		everywhere(t, hosts, "the event", func(h *netHost) bool { return len(h.gw.Taken()) > i })
		slowest = max(slowest, time.Since(begun))
		var at []time.Time
		for _, h := range hosts {
			at = append(at, h.gw.Taken()[i].At)
		}
		ways = append(ways, slices.MaxFunc(at, time.Time.Compare).Sub(slices.MinFunc(at, time.Time.Compare)))
	}
	for _, h := range hosts {
		if got := stub.Bodies(h.gw.Taken()); len(got) != events {
			t.Errorf("%s has %d posts of %d events", h.name, len(got), events)
		}
		if n, err := strconv.Atoi(h.metric(t, `agentctl_events_received_total{type="user",way="link"}`)); err != nil || n < events*2/3-1 {
			t.Errorf("%d events came to %s over links, want those of the two others: %v", n, h.name, err)
		}
	}
	var named time.Duration
	everywhere(t, hosts, "the closed port to be named", func(h *netHost) bool {
		return strings.Contains(h.Printed(), "UDP port 7946 of ") && len(h.ready(t).Warnings) == 1
	})
	named = time.Since(began)
	out, err := exec.Command("agentctl", "status", "-check", "-http-addr="+hosts[0].HTTP).CombinedOutput()
	if code, _ := err.(*exec.ExitError); code == nil || code.ExitCode() != 2 || !strings.Contains(string(out), "UDP port 7946 of ") {
		t.Errorf("status -check: %v\n%s", err, out)
	}
	for _, h := range hosts {
		if n, most := strings.Count(h.Printed(), "UDP probes failed"), int(time.Since(began)/time.Minute)+1; n > most {
			t.Errorf("%s has memberlist's warning %d times, want one a minute\n%s", h.name, n, h.Printed())
		}
	}
	for _, h := range hosts {
		h.nft(t, openUDP)
	}
	opened := time.Now()
	everywhere(t, hosts, "the end of the warning", func(h *netHost) bool { return h.ready(t).Warnings == nil })
	proc.Output(t, "agentctl", "status", "-check", "-http-addr="+hosts[0].HTTP)
	t.Logf("SUMMARY UDP closed: three members after %v, links to all after %v, an event from the command to three gateways in %v at most, of which from the first to the last gateway %v at the median and %v at most, the port named after %v, and not %v after it was opened",
		members.Round(100*time.Millisecond), links.Round(100*time.Millisecond), slowest.Round(time.Millisecond),
		slices.Sorted(slices.Values(ways))[events/2].Round(10*time.Microsecond), slices.Max(ways).Round(10*time.Microsecond), named.Round(100*time.Millisecond), time.Since(opened).Round(100*time.Millisecond))
}

// ready is what a host's /readyz says.
func (h *netHost) ready(t *testing.T) (r api.HealthReport) {
	t.Helper()
	res := h.get(t, "/readyz")
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("readyz: %s, %v, %+v", res.Status, err, r)
	}
	return r
}
