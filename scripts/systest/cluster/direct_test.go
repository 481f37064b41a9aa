package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// listener keeps what comes on a stream of all events of an agent.
type listener struct {
	mu      sync.Mutex
	user    []string // payloads
	queries []string // names
	broken  error
}

func listen(t *testing.T, n *proc.Node) *listener {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: n.RPC, StreamBuffer: 1 << 14})
	if err != nil {
		t.Fatal(err)
	}
	records, err := c.Stream(t.Context(), "*")
	if err != nil {
		t.Fatal(err)
	}
	// Stock serf subscribes a client just after it has answered it: what it
	// answers next shows that it has.
	if _, err := c.Members(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := new(listener)
	var reading sync.WaitGroup
	reading.Go(func() {
		for r, err := range records {
			l.mu.Lock()
			switch {
			case err != nil:
				l.broken = err
			case r.Event == "user":
				l.user = append(l.user, string(r.Payload))
			case r.Event == "query":
				l.queries = append(l.queries, r.Name)
			}
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		c.Close()
		reading.Wait()
	})
	return l
}

func (l *listener) events() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.user)
}

// TestDirectToStock has events of an agent of ours go straight to stock members,
// small ones and ones that fit in no packet, in an encrypted cluster: scripts
// and streams there have each once, and see nothing else of us.
func TestDirectToStock(t *testing.T) {
	for _, old := range oldVersions() {
		t.Run(old, func(t *testing.T) { directToStock(t, old) })
	}
}

func directToStock(t *testing.T, old string) {
	const small, large = 60, 3
	limit := filepath.Join(t.TempDir(), "limit.json")
	if err := os.WriteFile(limit, []byte(`{"user_event_size_limit": 9216}`), 0o600); err != nil {
		t.Fatal(err)
	}
	gw, err := stub.NewGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	args := []string{"-encrypt=" + proc.FirstKey, "-profile=wan"}
	ours := append(slices.Clone(args), "-config-file="+limit)
	here := proc.NewAgent(t, "here", append(ours, "-event-handler=user:of-no-test=true")...)
	nodes := []*proc.Node{here, proc.NewAgent(t, "there", append(ours, "-gateway="+gw.URL(), "-join="+here.Gossip)...)}
	files, streams := map[string]string{}, map[string]*listener{}
	for name, version := range map[string]string{"new": stock.V011, "old": old} {
		files[name] = filepath.Join(t.TempDir(), "events")
		n := proc.NewStock(t, name, version, append(args, "-join="+here.Gossip, "-protocol=4",
			fmt.Sprintf(`-event-handler=user=echo "$(base64 | tr -d '\n')" >> %s`, files[name]))...)
		streams[name] = listen(t, n)
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		testkit.WaitFor(t, n.Name+" knows all", func() bool {
			list := proc.MembersAt(t, n)
			for _, m := range list {
				if m.Status != "alive" {
					return false
				}
			}
			return len(list) == len(nodes)
		})
	}

	var want []string
	publish := proc.NewPublisher(t, here)
	for i := range small {
		want = append(want, fmt.Sprintf(`{"type":"ENTITY_UPDATED","entity":{"id":"%d"}}`, i))
		publish(want[i])
	}
	for i := range large {
		want = append(want, fmt.Sprint(i, strings.Repeat("x", 8<<10)))
		publish(want[small+i])
	}
	arrived := func() {
		t.Helper()
		slices.Sort(want)
		got := map[string]func() []string{"the gateway of there": func() []string { return stub.Bodies(gw.TakenUser()) }}
		for name, file := range files {
			got["the script of "+name] = func() []string { return proc.Logged(t, file) }
			got["the stream of "+name] = streams[name].events
		}
		for where, events := range got {
			testkit.Poll(func() bool { return len(events()) >= len(want) })
			have := events()
			slices.Sort(have)
			if !slices.Equal(have, want) {
				t.Errorf("%s has %d events, want %d: %.80q", where, len(have), len(want), have)
			}
		}
	}
	arrived()
	// Had any been on its way a second time, it would come before this one.
	want = append(want, "last")
	publish("last")
	arrived()

	sent := func(result string) int {
		return int(proc.Metric(t, here, `agentctl_direct_messages_total{result="`+result+`"}`))
	}
	// And to the other one of ours before it was found to be a peer.
	testkit.WaitFor(t, "all to be sent straight", func() bool { return sent("udp") >= 2*(small+1) && sent("tcp") >= 2*large })
	if failed, dropped := sent("failed"), sent("dropped"); failed+dropped != 0 {
		t.Errorf("%d failed and %d were dropped", failed, dropped)
	}
	more := 0
	testkit.WaitFor(t, "an event to go over a link", func() bool {
		more++
		publish("more")
		return proc.Metric(t, nodes[1], `agentctl_events_received_total{type="user",way="link"}`) > 0
	})
	for name, file := range files { // no script runs on while its folder is removed
		testkit.WaitFor(t, "the script of "+name+" has been run for all", func() bool { return len(proc.Logged(t, file)) >= len(want)+more })
	}
	for name, l := range streams {
		l.mu.Lock()
		if i := slices.IndexFunc(l.queries, func(q string) bool { return q != "agentctl-peer" }); i >= 0 || l.broken != nil {
			t.Errorf("on the stream of %s: queries %q, and then %v", name, l.queries, l.broken)
		}
		l.mu.Unlock()
	}
	for _, n := range nodes[2:] {
		for line := range strings.Lines(n.Printed()) {
			// What memberlist says of a stream or packet that it does not know;
			// probes may fail on a busy machine.
			if proc.Misread.MatchString(line) {
				t.Errorf("%s logs: %s", n.Name, line)
			}
		}
	}
}
