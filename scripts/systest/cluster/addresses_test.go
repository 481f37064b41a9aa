package cluster

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// TestLinksAtAnyAddress has three agents exchange events over links, by whichever of a
// machine's addresses they know each other.
func TestLinksAtAnyAddress(t *testing.T) {
	for name, tt := range map[string]struct{ needs, host, bind, advertise string }{
		"IPv6":       {"IPv6", "::1", "[::1]:0", ""},
		"advertised": {"a loopback address beside 127.0.0.1", "127.0.0.2", "0.0.0.0:0", "127.0.0.2:0"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", net.JoinHostPort(tt.host, "0"))
			if err != nil {
				testkit.NotRun(t, "it needs %s: %v", tt.needs, err)
			}
			ln.Close()
			linksAt(t, tt.host, tt.bind, tt.advertise)
		})
	}
}

// linked reads how many messages an agent has counted on its links.
func linked(t *testing.T, n *proc.Node, what string) int {
	t.Helper()
	return int(proc.Metric(t, n, fmt.Sprintf("agentctl_link_messages_total{what=%q}", what)))
}

func linksAt(t *testing.T, host, bind, advertise string) {
	const events = 100
	var nodes []*proc.Node
	var gateways []*stub.Gateway
	for i := range 3 {
		gw, err := stub.NewGateway()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gw.Close)
		args := []string{"-bind=" + bind, "-gateway=" + gw.URL()}
		if advertise != "" {
			args = append(args, "-advertise="+advertise)
		}
		if i > 0 {
			args = append(args, "-join="+nodes[0].Gossip)
		}
		n := proc.NewAgent(t, fmt.Sprint("node", i), args...)
		if got, _, err := net.SplitHostPort(n.Gossip); err != nil || got != host {
			t.Errorf("%s is known by %s, and not by %s", n.Name, n.Gossip, host)
		}
		nodes, gateways = append(nodes, n), append(gateways, gw)
	}
	for _, n := range nodes {
		testkit.WaitFor(t, n.Name+" sees all", func() bool { return proc.Alive(t, n) == len(nodes) })
	}
	from, publish := nodes[0], proc.NewPublisher(t, nodes[0])
	var want []string
	send := func(payload string) {
		want = append(want, payload)
		publish(payload)
	}
	queued := -1
	// Members are listed anew after 100 ms.
	if !testkit.PollAt(testkit.Patience, 200*time.Millisecond, func() bool {
		before := queued
		queued = linked(t, from, "queued")
		if found := before >= 0 && queued-before == len(nodes)-1; found {
			return true
		}
		send(fmt.Sprint("to find them ", len(want)))
		return false
	}) {
		t.Fatal("the others do not come to be known as peers")
	}
	before := linked(t, from, "queued")
	for i := range events {
		send(fmt.Sprint("then ", i))
	}
	if got := linked(t, from, "queued") - before; got != events*(len(nodes)-1) {
		t.Errorf("%d messages for links, want each of %d events to %d nodes", got, events, len(nodes)-1)
	}
	testkit.WaitFor(t, "all of them to be acknowledged", func() bool { return linked(t, from, "acknowledged") == linked(t, from, "queued") })
	// Who was asked knows who asked it, and answers over links of its own.
	want = append(want, "back")
	proc.NewPublisher(t, nodes[1])("back")
	testkit.WaitFor(t, "the answer to be acknowledged", func() bool { return linked(t, nodes[1], "acknowledged") > 0 })
	slices.Sort(want)
	for i, gw := range gateways {
		testkit.WaitFor(t, "all events at the gateway of "+nodes[i].Name, func() bool { return len(gw.TakenUser()) >= len(want) })
		got := stub.Bodies(gw.TakenUser())
		slices.Sort(got)
		testkit.Want(t, "events at the gateway of "+nodes[i].Name, got, want)
	}
	for _, n := range nodes[1:] {
		if proc.Metric(t, n, `agentctl_events_received_total{type="user",way="link"}`) == 0 {
			t.Errorf("no event came to %s first over a link", n.Name)
		}
	}
}
