package delivery

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// noise is a file with so many bytes of no pattern, and what is in it.
func noise(t *testing.T, size int) (file, payload string) {
	t.Helper()
	b := make([]byte, size)
	seed := sha256.Sum256(fmt.Append(nil, size))
	random := rand.NewChaCha8(seed)
	random.Read(b)
	file = filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, string(b)
}

// publishFile publishes a file at a node by the command, and returns what that
// says on standard error.
func publishFile(t *testing.T, n *proc.Node, file string) (warning string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "agentctl", "event", "-coalesce=false", "-rpc-addr="+n.RPC, "-payload-file="+file, "kong")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || !strings.HasPrefix(stdout.String(), "Event 'kong' dispatched! Coalescing enabled: false\nID: ") {
		t.Fatalf("event: %v\n%s%s", err, &stdout, &stderr)
	}
	return stderr.String()
}

// TestLargeEvents has three agents bring payloads of 8 KB and more to their
// gateways and scripts: while one is away, which has them when it is back, and
// while one has been restarted.
func TestLargeEvents(t *testing.T) {
	for name, args := range map[string][]string{"plain": {proc.Profile}, "encrypted": {proc.Profile, "-encrypt=" + proc.FirstKey}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sums := filepath.Join(t.TempDir(), "sums")
			args = append(args, "-max-event-size=1048576", "-event-handler=user:kong=echo $(sha256sum) >> "+sums)
			nodes := []*durable{newDurable(t, "large1", args...), nil, nil}
			nodes[0].start(t)
			for i := range 2 {
				nodes[i+1] = newDurable(t, fmt.Sprint("large", i+2), append(slices.Clone(args), "-retry-join="+nodes[0].gossip)...)
				nodes[i+1].start(t)
			}
			alive := func(n *durable, want int) bool { return proc.Alive(t, n.Node) == want }
			for _, n := range nodes {
				testkit.WaitFor(t, "all know all", func() bool { return alive(n, 3) })
			}
			var want []string
			linked := func() {
				t.Helper()
				small := proc.NewPublisher(t, nodes[0].Node)
				testkit.WaitFor(t, "the others are linked, so known not to be stock", func() bool {
					want = append(want, fmt.Sprint("small ", len(want)))
					small(want[len(want)-1])
					return proc.Linked(t, nodes[0].Node) == 2
				})
			}
			linked()
			publish := func(size int, to []*durable) {
				file, payload := noise(t, size)
				want = append(want, payload)
				began := time.Now()
				if warning := publishFile(t, nodes[0].Node, file); warning != "" {
					t.Errorf("%d bytes: %s", size, warning)
				}
				var last time.Duration
				for _, n := range to {
					testkit.WaitFor(t, fmt.Sprintf("%d bytes at %s", size, n.name), func() bool {
						posts := n.gw.Taken()
						i := slices.IndexFunc(posts, func(p stub.Post) bool { return string(p.Body) == payload })
						if i < 0 {
							return false
						}
						last = max(last, posts[i].At.Sub(began))
						return true
					})
				}
				t.Logf("SUMMARY large events, %s: %d bytes, from the start of the command to the POST on the last of %d gateways %v",
					name, size, len(to), last.Round(100*time.Microsecond))
			}
			for _, size := range []int{8 << 10, 200_000, 8<<10 + 1, 200_001, 1<<20 - len("kong")} {
				publish(size, nodes)
			}
			var missed []string // by one node, whose script may run for them or not
			scripts := func() {
				t.Helper()
				testkit.WaitFor(t, "the runs of scripts", func() bool {
					text, _ := os.ReadFile(sums)
					return !slices.ContainsFunc(want, func(payload string) bool {
						least := len(nodes)
						if slices.Contains(missed, payload) {
							least--
						}
						sum := fmt.Sprintf("%x", sha256.Sum256([]byte(payload+"\n"))) // serf's newline
						return strings.Count(string(text), sum) < least
					})
				})
			}
			away, before := nodes[2], len(want)
			scripts() // those that wait end with their agent
			away.mustDie(t)
			testkit.WaitFor(t, "one is away", func() bool { return alive(nodes[0], 2) })
			publish(8<<10+2, nodes[:2])
			publish(200_002, nodes[:2])
			away.start(t)
			for _, n := range nodes {
				testkit.WaitFor(t, "all at "+n.name, func() bool { return len(missing(n.gw, want)) == 0 })
				got, once := stub.Bodies(n.gw.Taken()), want
				if n == away { // the kill may repeat what was answered just before
					once = want[before:]
					got = slices.DeleteFunc(got, func(body string) bool { return !slices.Contains(once, body) })
				}
				if !sameInAnyOrder(got, once) {
					t.Errorf("%s took %d events, want each of %d once", n.name, len(got), len(once))
				}
				if s := proc.StatusOf(t, n.Node); s.Lost != 0 || s.State != "ok" {
					t.Errorf("%s: %+v", n.name, s)
				}
			}
			// Scripts are run for what serf passed on: of what one missed, that may be nothing.
			missed = want[before:]
			scripts()
			nodes[1].mustDie(t)
			nodes[1].start(t)
			testkit.WaitFor(t, "all know all again", func() bool { return alive(nodes[0], 3) && alive(nodes[1], 3) })
			linked()
			publish(8<<10+3, nodes)
			scripts()
		})
	}
}

func sameInAnyOrder(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// TestLargeEventsBesideStock: stock members get none, and are spared what they
// cannot read; the publisher is told so, by the command and the log. Stock
// clients publish them, too.
func TestLargeEventsBesideStock(t *testing.T) {
	gw, err := stub.NewGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	here := proc.NewAgent(t, "here", "-event-handler=user:of-no-test=true")
	there := proc.NewAgent(t, "there", "-gateway="+gw.URL(), "-join="+here.Gossip)
	script := filepath.Join(t.TempDir(), "events")
	stocks := proc.NewStock(t, "stock11", stock.V011, "-join="+here.Gossip,
		fmt.Sprintf(`-event-handler=user:kong=echo "$(base64 | tr -d '\n')" >> %s`, script))
	for _, n := range []*proc.Node{here, there, stocks} {
		testkit.WaitFor(t, n.Name+" knows all", func() bool { return len(proc.MembersAt(t, n)) == 3 })
	}
	publish := proc.NewPublisher(t, here)
	var first []string // until there is known to be no stock member
	testkit.WaitFor(t, "there is linked", func() bool {
		first = append(first, fmt.Sprint("first ", len(first)))
		publish(first[len(first)-1])
		return proc.Linked(t, here) == 1
	})
	file, large := noise(t, 60_000)
	if warning := publishFile(t, here, file); !strings.HasPrefix(warning, "Warning: 1 of the cluster's members get no event of over 512 bytes") || !strings.Contains(warning, "stock11") || strings.Contains(warning, "there") {
		t.Errorf("the command warns: %s", warning)
	}
	text := strings.Repeat("x", 2000) // a stock client's
	if out := proc.Output(t, stock.Serf(t, stock.V011), "event", "-coalesce=false", "-rpc-addr="+here.RPC, "kong", text); out != "Event 'kong' dispatched! Coalescing enabled: false\n" {
		t.Errorf("the stock command: %s", out)
	}
	publish("last")
	small := append(first, "last")
	want := append([]string{large, text}, small...)
	testkit.WaitFor(t, "all of them at the gateway", func() bool { return len(gw.TakenUser()) >= len(want) })
	if got := stub.Bodies(gw.TakenUser()); !sameInAnyOrder(got, want) {
		t.Errorf("the gateway took %d events, want each of %d once", len(got), len(want))
	}
	testkit.WaitFor(t, "the small ones at the stock member", func() bool { return len(proc.Logged(t, script)) >= len(small) })
	// The references came there, too, before the last one or after it.
	testkit.WaitFor(t, "the references at the stock member", func() bool { return strings.Count(stocks.Printed(), "agentctl-large") >= 2 })
	if got := proc.Logged(t, script); !sameInAnyOrder(got, small) {
		t.Errorf("the script of the stock member ran for %q", got)
	}
	testkit.WaitFor(t, "the log says who gets no large event", func() bool {
		return strings.Contains(here.Printed(), "a large event does not reach all members")
	})
	if sign := proc.Misread.FindString(stocks.Printed()); sign != "" {
		t.Errorf("the stock member printed %q", sign)
	}
}
