package agent

import (
	"strings"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// A live member that serf has forgotten, as after a prune at a stock member, comes back
// with the next round of the rejoiner, and the gateway is told all of it.
func TestAForcedLeaveIsMendedByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		soon := func(o *config.Options) { o.RetryInterval, o.BroadcastTimeout = time.Second, time.Second }
		n := start(t, soon, func(o *config.Options) { o.EventHandlers, o.Gateway = nil, gw.URL })
		other := start(t, named("forced"))
		join(t, n, other)
		told := func() (types []string) {
			for _, p := range gw.Posts() {
				if strings.Contains(p.Body, "forced") {
					types = append(types, p.Type)
				}
			}
			return types
		}
		testkit.WaitFor(t, "its join", func() bool { return len(told()) == 1 })
		// As a message of a stock member does it.
		must(t, n.serf.RemoveFailedNodePrune("forced"))
		testkit.WaitFor(t, "it to be forgotten", func() bool { return n.log.Count("EventMemberReap (forced): forced") == 1 })
		testkit.WaitFor(t, "it to be back", func() bool { return n.sees(other) == "alive" })
		testkit.WaitFor(t, "the events", func() bool { return strings.Join(told(), " ") == "member-join member-reap member-join" })
	})
}

// The command that forces a live member to leave has no effect, and the log says why.
func TestForceLeaveOfALiveMember(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, other := start(t), start(t)
		join(t, n, other)
		for i, prune := range []bool{false, true} {
			must(t, n.ForceLeave(other.opts.NodeName, prune))
			if s := n.sees(other); s != "alive" {
				t.Errorf("with prune %v it is %q", prune, s)
			}
			testkit.WaitFor(t, "the log to say so", func() bool {
				return n.log.Count("level=WARN", "is alive and stays a member", other.opts.NodeName) == i+1
			})
		}
	})
}

// Anyone can say that a member leaves, at a Lamport time that the member cannot deny. It
// lives, so it gets its events over a link all the same.
func TestALeaveThatCannotBeDenied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, other := startWithGateway(t, wan), startWithGateway(t, wan)
		join(t, n.node, other.node)
		want := n.findsPeer(t, "first", other.node)
		name := other.opts.NodeName
		forged := append([]byte("\x00\x83\xa5LTime\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa4Node"), 0xa0|byte(len(name)))
		forged = append(append(forged, name...), "\xa5Prune\xc2"...)
		n.serf.Inject(forged)
		testkit.WaitFor(t, "serf to believe it", func() bool { return n.sees(other.node) == "leaving" })
		time.Sleep(time.Second)
		before := n.onLinks(t, "queued")
		want = append(want, n.publish(t, "then", 10)...)
		if got := n.onLinks(t, "queued") - before; got != 10 {
			t.Errorf("%d of 10 events were for links", got)
		}
		other.has(t, want)
		if s := n.sees(other.node); s != "leaving" {
			t.Errorf("it is %q by now, so the test shows nothing", s)
		}
	})
}

// A join of any node mends a forced leave, not only that of the member.
func TestAJoinMendsForcedLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, other := start(t), start(t)
		join(t, n, other)
		must(t, n.serf.RemoveFailedNode(other.opts.NodeName))
		if s := n.sees(other); s != "leaving" {
			t.Fatalf("it is %q", s)
		}
		if _, err := n.Join([]string{n.GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
		if s := n.sees(other); s != "alive" {
			t.Errorf("after the join it is %q", s)
		}
	})
}
