package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// mixed is a cluster of four: the newest release of stock serf and an old one, and two
// agents of ours with a gateway each. Gossip is encrypted.
type mixed struct {
	nodes    map[string]*proc.Node
	gateways map[string]*stub.Gateway // of ours
	logs     map[string]string        // file that a stock node's own script appends events to
	programs map[string]string        // command lines to try, by name
}

// oldVersions are the releases that stand beside the newest one: the oldest, and in
// the long form all.
func oldVersions() []string {
	if testkit.Long() {
		return stock.Versions[1:]
	}
	return []string{stock.V070}
}

// testMixed drives a mixed cluster through everything that serf's command
// line does, from stock serf and from ours. Its parts follow on each other.
func testMixed(t *testing.T) {
	for _, old := range oldVersions() {
		t.Run(old, func(t *testing.T) { testCluster(t, old) })
	}
}

func testCluster(t *testing.T, old string) {
	c := newMixed(t, old)
	for _, part := range []struct {
		name string
		run  func(*mixed, *testing.T)
	}{
		{"members", (*mixed).testMembers},
		{"events", (*mixed).testEvents},
		{"query", (*mixed).testQuery},
		{"tags", (*mixed).testTags},
		{"keys", (*mixed).testKeys},
		{"force-leave", (*mixed).testForceLeave},
		{"leave", (*mixed).testLeave},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(c, t) }) {
			break // what follows would fail for this reason, too
		}
	}
}

func newMixed(t *testing.T, old string) *mixed {
	c := &mixed{
		nodes:    map[string]*proc.Node{},
		gateways: map[string]*stub.Gateway{},
		logs:     map[string]string{},
		programs: map[string]string{
			"new serf": stock.Serf(t, stock.V011),
			"old serf": stock.Serf(t, old),
			"agentctl": "agentctl",
		},
	}
	whoami := "-event-handler=query:whoami=printf %s $SERF_SELF_NAME"
	for name, version := range map[string]string{"new": stock.V011, "old": old} {
		file := filepath.Join(t.TempDir(), "events")
		c.logs[name] = file
		c.nodes[name] = proc.NewStock(t, name, version, "-encrypt="+proc.FirstKey, "-profile=lan", whoami,
			"-protocol=4", // which all understand, and which is the default of 0.7.0 and ours
			fmt.Sprintf(`-event-handler=user:kong=echo "$(base64 | tr -d '\n')" >> %s`, file))
	}
	for _, name := range []string{"ours1", "ours2"} {
		gw, err := stub.NewGateway()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gw.Close)
		c.gateways[name] = gw
		c.nodes[name] = proc.NewAgent(t, name, "-encrypt="+proc.FirstKey, "-profile=lan", "-gateway="+gw.URL(), whoami)
	}
	proc.Output(t, "agentctl", "join", "-rpc-addr="+c.nodes["ours1"].RPC,
		c.nodes["ours2"].Gossip, c.nodes["new"].Gossip, c.nodes["old"].Gossip)
	return c
}

// each calls do for every node with every program.
func (c *mixed) each(do func(node *proc.Node, program, path string)) {
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		for _, program := range slices.Sorted(maps.Keys(c.programs)) {
			do(c.nodes[name], program, c.programs[program])
		}
	}
}

// become waits until every node that runs sees a member in a status.
func (c *mixed) become(t *testing.T, name, status string) {
	t.Helper()
	for _, n := range c.nodes {
		testkit.WaitFor(t, fmt.Sprintf("%s sees %s as %s", n.Name, name, status), func() bool {
			return proc.MembersAt(t, n)[name].Status == status
		})
	}
}

func (c *mixed) testMembers(t *testing.T) {
	for name := range c.nodes {
		c.become(t, name, "alive")
	}
	c.each(func(n *proc.Node, program, path string) {
		got := proc.Members(t, path, n)
		if len(got) != len(c.nodes) {
			t.Errorf("%s at %s: %d members: %v", program, n.Name, len(got), got)
		}
		for name, other := range c.nodes {
			if m := got[name]; m.Addr != other.Gossip || m.Status != "alive" {
				t.Errorf("%s at %s says %+v, want %s alive at %s", program, n.Name, m, name, other.Gossip)
			}
		}
	})
	// Each gateway is told of every member, once: in how many events is up to
	// serf's coalescing.
	for name, gw := range c.gateways {
		testkit.WaitFor(t, "the gateway of "+name+" knows all members", func() bool {
			return len(joins(t, gw)) >= len(c.nodes)
		})
		got := joins(t, gw)
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(c.nodes)); !slices.Equal(got, want) {
			t.Errorf("the gateway of %s was told that %q joined, want each of %q once", name, got, want)
		}
	}
}

// joins are the names of the members that a gateway was told have joined.
func joins(t *testing.T, gw *stub.Gateway) (names []string) {
	for _, p := range gw.Taken() {
		if p.Header.Get("X-Serf-Event") != "member-join" {
			continue
		}
		var body struct{ Type, Entity string }
		if err := json.Unmarshal(p.Body, &body); err != nil || body.Type != "member-join" {
			t.Fatalf("%v in %s", err, p)
		}
		for line := range strings.Lines(body.Entity) {
			name, _, _ := strings.Cut(line, "\t")
			names = append(names, name)
		}
	}
	return names
}

// testQuery has each program at each node ask everybody. A query and its
// answers are each sent without making sure that they arrive, so one may have
// to be repeated.
func (c *mixed) testQuery(t *testing.T) {
	c.each(func(n *proc.Node, program, path string) {
		t.Run(program+" at "+n.Name, func(t *testing.T) {
			t.Parallel()
			var out string
			for range 5 {
				out = proc.Output(t, "env", proc.RaceEnv+"="+proc.Unraced, path, "query", "-rpc-addr="+n.RPC, "-timeout=1s", "whoami")
				if c.allAnswered(out) {
					return
				}
			}
			t.Errorf("want an ack and an answer of each of the four, once:\n%s", out)
		})
	})
}

// allAnswered reports whether a query's output has one ack and one answer, its
// name, of each node.
func (c *mixed) allAnswered(out string) bool {
	for name := range c.nodes {
		for _, line := range []string{"Ack from '" + name + "'\n", "Response from '" + name + "': " + name + "\n"} {
			if strings.Count(out, line) != 1 {
				return false
			}
		}
	}
	return strings.Contains(out, "Total Acks: 4\nTotal Responses: 4\n")
}
