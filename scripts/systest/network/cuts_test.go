package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// faults are what a host's packet filter does to what comes in: it drops all
// from some hosts, and a share of the rest at random.
type faults struct {
	cut     []string // addresses
	percent int
}

// filter sets a host's faults, in place of those before.
func (n *network) filter(h *netHost, f faults) error {
	rules := "flush ruleset\ntable ip faults {\n chain in {\n  type filter hook input priority 0;\n"
	for _, addr := range f.cut {
		rules += "  ip saddr " + addr + " drop\n"
	}
	rules += fmt.Sprintf("  iif eth0 numgen random mod 100 < %d drop\n }\n}\n", f.percent)
	cmd := exec.Command("ip", "netns", "exec", h.namespace, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft at %s: %w: %s", h.name, err, out)
	}
	return nil
}

// disturb changes the faults at random moments until ctx ends, and then takes
// them away. A host loses a share of all packets and, as often as not, all from
// each of the others: so links are cut one way or both.
func (n *network) disturb(ctx context.Context, hosts []*netHost, percent int) (changes int, err error) {
	for ctx.Err() == nil {
		for _, h := range hosts {
			f := faults{percent: percent}
			for _, other := range hosts {
				if other != h && rand.IntN(2) == 0 {
					f.cut = append(f.cut, other.addr)
				}
			}
			if err := n.filter(h, f); err != nil {
				return changes, err
			}
			changes++
			testkit.Pause(ctx, 500*time.Millisecond)
		}
	}
	for _, h := range hosts {
		if err := n.filter(h, faults{}); err != nil {
			return changes, err
		}
	}
	return changes, nil
}

// TestRandomCuts publishes at all of five agents while links between them are
// cut and healed at random, one way too, and packets are dropped at random. One
// remembers so few events that it cannot always tell the others what it had, so
// that they have to flush. In the end each gateway has each event, or was flushed
// after it was published; and the agents' own records say so.
func TestRandomCuts(t *testing.T) {
	net := newNetwork(t)
	percent, seconds := testkit.Setting(t, "AGENTCTL_TEST_LOSS_PERCENT", 10, 30), testkit.Setting(t, "AGENTCTL_TEST_LOSS_SECONDS", 5, 60)
	hosts := []*netHost{net.agent(0, 1, "-retry-interval=5s")}
	for number := 2; number <= 5; number++ {
		args := []string{"-retry-interval=5s", "-retry-join=" + hosts[0].addr}
		if number == 5 {
			args = append(args, "-journal-max-events=100")
		}
		hosts = append(hosts, net.agent(number%2, number, args...))
	}
	everywhere(t, hosts, "five members", func(h *netHost) bool { return h.sees(t, "alive") == 5 })
	if err := net.filter(hosts[0], faults{percent: percent}); err != nil {
		testkit.NotRun(t, "it needs nft, and a kernel whose namespaces have packet filters of their own: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	type event struct {
		payload string
		at      time.Time
	}
	published := make(chan event, 1<<20)
	done := make(chan struct{})
	for i, h := range hosts {
		publish := proc.NewPublisher(t, h.Node)
		go func() {
			defer func() { done <- struct{}{} }()
			for n := 0; testkit.Pause(ctx, 20*time.Millisecond); n++ {
				payload := fmt.Sprintf("%d at %s, %s", n, hosts[i].name, strings.Repeat("x", rand.IntN(400)))
				publish(payload)
				published <- event{payload, time.Now()}
			}
		}()
	}
	changes, err := net.disturb(ctx, hosts, percent)
	for range hosts {
		<-done
	}
	if err != nil {
		t.Fatal(err)
	}
	healed := time.Now()
	close(published)
	var events []event
	for e := range published {
		events = append(events, e)
	}
	everywhere(t, hosts, "five members again", func(h *netHost) bool { return h.sees(t, "alive") == 5 })

	// lacking are the events that a gateway has not had, and was not flushed after.
	lacking := func(h *netHost) (lacking []string) {
		had, flushed := map[string]bool{}, time.Time{}
		for _, p := range h.gw.Taken() {
			had[string(p.Body)] = true
			if string(p.Body) == flushBody {
				flushed = p.At
			}
		}
		for _, e := range events {
			if !had[e.payload] && flushed.Before(e.at) {
				lacking = append(lacking, e.payload)
			}
		}
		return lacking
	}
	if testkit.Settle(func() (left int) {
		for _, h := range hosts {
			left += len(lacking(h))
		}
		return left
	}) > 0 {
		for _, h := range hosts {
			t.Errorf("%s was not flushed and lacks %d events: %.2000q", h.name, len(lacking(h)), lacking(h))
		}
		return
	}
	settled := time.Since(healed)
	for _, h := range hosts {
		testkit.WaitFor(t, h.name+" has nothing waiting", func() bool { return h.report(t).Waiting == 0 })
		account := h.accountFlushes(t)
		t.Logf("SUMMARY %s: %s", h.name, account)
	}
	t.Logf("SUMMARY %d%% of packets dropped and links cut at random for %d s, %d changes: %d events, settled %v after the heal",
		percent, seconds, changes, len(events), settled.Round(100*time.Millisecond))
}

// accountFlushes compares what an agent says of its target with what the gateway
// had: each flush, and each event that it has not had. One more gap may be found
// meanwhile, so it looks until both agree.
func (h *netHost) accountFlushes(t *testing.T) (account string) {
	t.Helper()
	var differs string
	if !testkit.Poll(func() bool {
		account, differs = h.compareFlushes(t)
		return differs == ""
	}) {
		t.Errorf("%s: %s", h.name, differs)
	}
	return account
}

// compareFlushes is one look of accountFlushes; differs says where the two do
// not agree.
func (h *netHost) compareFlushes(t *testing.T) (account, differs string) {
	flushes, had := 0, map[string]int{}
	for _, p := range h.gw.Taken() {
		if string(p.Body) == flushBody {
			flushes++
			continue
		}
		had[p.Header.Get("X-Serf-Event-Id")]++
	}
	again := 0
	for _, n := range had {
		again += n - 1
	}
	account = fmt.Sprintf("%d events, %d of them more than once, %d flushes", len(had), again, flushes)
	r := h.report(t)
	if r.State != api.TargetOK || int(r.Flushes) != flushes || r.Lost > 0 || r.BuriedNow > 0 || int(r.Delivered) < len(had) {
		return account, fmt.Sprintf("the gateway had %s, and the agent says %+v", account, r)
	}
	// One flush may do for gaps that were found while it was under way.
	if told := strings.Count(h.Printed(), `msg="repair: gateways are flushed"`); flushes > told || told > 0 && flushes == 0 {
		return account, fmt.Sprintf("the log tells of %d gaps, the gateway had %d flushes", told, flushes)
	}
	return account, ""
}
