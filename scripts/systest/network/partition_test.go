package network

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// TestPartition cuts a cluster of four in two, publishes on both sides, and
// heals it: each gateway has every event, once.
func TestPartition(t *testing.T) {
	net := newNetwork(t)
	events, seconds := testkit.Setting(t, "AGENTCTL_TEST_CUT_EVENTS", 200, 5000), testkit.Setting(t, "AGENTCTL_TEST_CUT_SECONDS", 3, 45)
	hosts := []*netHost{net.agent(0, 1)}
	for number := 2; number <= 4; number++ {
		hosts = append(hosts, net.agent((number-1)/2, number, "-retry-join="+hosts[0].addr))
	}
	everywhere(t, hosts, "four members", func(h *netHost) bool { return h.sees(t, "alive") == 4 })
	left, right := proc.NewPublisher(t, hosts[0].Node), proc.NewPublisher(t, hosts[2].Node)
	var want []string
	// A cluster that has been up for a while: its agents know each other.
	testkit.WaitFor(t, "the publishers have links to all", func() bool {
		for side, publish := range []func(string){left, right} {
			want = append(want, fmt.Sprintf("before %d %d", side, len(want)))
			publish(want[len(want)-1])
		}
		return hosts[0].linked(t) == 3 && hosts[2].linked(t) == 3
	})
	everywhere(t, hosts, "the events from before", func(h *netHost) bool { return len(h.gw.Taken()) == len(want) })

	publish := func(phase string) {
		for i := range events {
			for side, publish := range []func(string){left, right} {
				want = append(want, fmt.Sprintf("%s %d %d", phase, side, i))
				publish(want[len(want)-1])
			}
		}
	}
	net.cut()
	cut := time.Now()
	publish("cut")
	testkit.PollFor(time.Duration(seconds)*time.Second-time.Since(cut), func() bool { return false })
	for i, h := range hosts {
		for _, p := range h.gw.Taken() {
			if other := fmt.Sprintf("cut %d ", 1-i/2); strings.HasPrefix(string(p.Body), other) {
				t.Fatalf("%s has %q from beyond the cut: nothing was cut", h.name, p.Body)
			}
		}
	}
	net.heal()
	healed := time.Now()
	publish("healed")
	slices.Sort(want)
	// The heal is noticed when what was published behind the cut comes here, or a
	// member from there is alive again.
	var noticed time.Duration
	first := slices.Clone(hosts)
	testkit.WaitFor(t, "all events at all hosts", func() bool {
		if noticed == 0 && slices.ContainsFunc(hosts, func(h *netHost) bool { return crossed(h, hosts) || h.sees(t, "alive") > 2 }) {
			noticed = time.Since(healed)
		}
		first = slices.DeleteFunc(first, func(h *netHost) bool { return len(h.gw.Taken()) >= len(want) })
		return len(first) == 0
	})
	took := time.Since(healed)
	for _, h := range hosts {
		got := stub.Bodies(h.gw.Taken())
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %d posts, want each of %d events once", h.name, len(got), len(want))
		}
	}
	everywhere(t, hosts, "four members again", func(h *netHost) bool { return h.sees(t, "alive") == 4 })
	t.Logf("SUMMARY cut for %v with %d events a side, and as many as it healed: noticed %v after the heal, all at all four %v later",
		healed.Sub(cut).Round(time.Second), events, noticed.Round(100*time.Millisecond), (took - noticed).Round(100*time.Millisecond))
}

// crossed tells whether a host has an event from the other half that was
// published during the cut, or since.
func crossed(h *netHost, hosts []*netHost) bool {
	other := 1 - slices.Index(hosts, h)/2
	return slices.ContainsFunc(h.gw.Taken(), func(p stub.Post) bool {
		return strings.HasPrefix(string(p.Body), fmt.Sprintf("cut %d ", other)) || strings.HasPrefix(string(p.Body), fmt.Sprintf("healed %d ", other))
	})
}
