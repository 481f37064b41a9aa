package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// comesBack is a node with a script, and another that publishes. With a snapshot the
// node finds the cluster by that when it comes back, and else by -join.
type comesBack struct {
	name       string
	node, peer string // programs
	away       time.Duration
	snapshot   bool

	dir     string
	args    []string // of the node, but for -join
	at, rpc string   // the node's addresses
	up      *proc.Node
	other   *proc.Node
	publish func(payload string)
	back    time.Time
}

func (c *comesBack) start(t *testing.T, name, program, gossip, rpc string, args ...string) *proc.Node {
	t.Helper()
	n := &proc.Node{Gossip: gossip, RPC: rpc}
	var err error
	n.Process, err = proc.Start(c.dir, name, os.Environ(), program, append([]string{"agent", "-node=" + name,
		"-bind=" + gossip, "-rpc-addr=" + rpc, proc.Profile}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, n.Process)
	if err := n.Answers(); err != nil {
		t.Fatalf("%s: %v\n%s", c.name, err, n.Printed())
	}
	return n
}

func (c *comesBack) startNode(t *testing.T, args ...string) {
	t.Helper()
	c.up = c.start(t, "node", c.node, c.at, c.rpc, append(args, c.args...)...)
	testkit.WaitFor(t, c.name+": both to be members", func() bool {
		return proc.Alive(t, c.other) == 2 && proc.Alive(t, c.up) == 2
	})
}

func (c *comesBack) join() string { return "-join=" + c.other.Gossip }

// got is what the script was run for.
func (c *comesBack) got() []string {
	data, _ := os.ReadFile(filepath.Join(c.dir, "seen"))
	return strings.Fields(string(data))
}

// has waits until the script was run for an event.
func (c *comesBack) has(t *testing.T, payload string) {
	t.Helper()
	testkit.WaitFor(t, fmt.Sprintf("%s: the script to get %q", c.name, payload), func() bool {
		return slices.Contains(c.got(), payload)
	})
}

// leave starts the node beside a cluster that has had an event, and stops it without
// a leave.
func (c *comesBack) leave(t *testing.T) {
	t.Helper()
	c.dir, c.at, c.rpc = t.TempDir(), loopback.Addr(), loopback.Addr()
	c.other = c.start(t, "peer", c.peer, loopback.Addr(), loopback.Addr())
	c.publish = proc.NewPublisher(t, c.other)
	c.publish("old")
	c.args = []string{"-event-handler=user:kong=cat >>" + filepath.Join(c.dir, "seen")}
	if c.snapshot {
		c.args = append(c.args, "-snapshot="+filepath.Join(c.dir, "snapshot"))
	}
	c.startNode(t, c.join())
	c.publish("first")
	c.has(t, "first")
	if err := c.up.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "its end", c.up.Ended)
	c.back = time.Now().Add(c.away)
	c.publish("missed")
}

// comeBack starts the node again once it was away for long enough.
func (c *comesBack) comeBack(t *testing.T) {
	t.Helper()
	time.Sleep(time.Until(c.back))
	if c.snapshot {
		c.startNode(t)
		c.has(t, "missed") // it comes with the full sync by which it joins
	} else {
		c.startNode(t, c.join())
	}
	c.publish("new")
	c.has(t, "new")
}

// gossiped is for how long gossip carries an event at least: four times 200 ms. A node that
// is back by then may hear of the event before it joins, and runs its script: chance decides
// that, for stock serf too.
const gossiped = 800 * time.Millisecond

// What a script gets of old events is the same with this program called as serf as with
// stock serf, beside stock members and beside peers with links alike: for a new node,
// and for one that comes back.
func TestOldEventsForScripts(t *testing.T) {
	t.Parallel()
	ours, stocks := proc.BuildAs(t, "serf"), stock.Serf(t, stock.V011)
	absences := []time.Duration{500 * time.Millisecond, 5 * time.Second}
	if testkit.Long() {
		absences = append(absences, 15*time.Second)
	}
	var all []*comesBack
	for _, away := range absences {
		for _, snapshot := range []bool{false, true} {
			for _, c := range []comesBack{
				{name: "stock beside stock", node: stocks, peer: stocks},
				{name: "ours beside stock", node: ours, peer: stocks},
				{name: "ours beside a peer", node: ours, peer: ours},
			} {
				c.name, c.away, c.snapshot = fmt.Sprintf("%s, away for %v, snapshot %v", c.name, away, snapshot), away, snapshot
				all = append(all, &c)
			}
		}
	}
	for _, c := range slices.Backward(all) { // the longest absences first
		c.leave(t)
	}
	for _, c := range all {
		c.comeBack(t)
	}
	time.Sleep(4 * time.Second) // repair brings what it has within three
	for _, c := range all {
		want := []string{"first", "new"}
		if c.snapshot {
			want = []string{"first", "missed", "new"}
		}
		got := c.got()
		if !c.snapshot && c.away < gossiped {
			got = slices.DeleteFunc(got, func(payload string) bool { return payload == "missed" })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		t.Logf("SUMMARY %s: the script got %q", c.name, c.got())
	}
}
