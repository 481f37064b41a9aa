package agent

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
	"agentctl/scripts/testkit/serfnode"
)

func TestShutOut(t *testing.T) {
	t.Parallel()
	const forced, lost = "forced them to leave: ", "can be reached over TCP: "
	for name, test := range map[string]struct {
		status        serf.MemberStatus // StatusNone: not listed
		alive, linked bool
		want          string
	}{
		"a member":                        {serf.StatusAlive, true, true, ""},
		"it left, and memberlist is late": {serf.StatusLeaving, true, false, forced},
		"left, and alive":                 {serf.StatusLeft, true, true, forced},
		"pruned, and alive":               {serf.StatusNone, true, false, forced},
		"failed, with a link":             {serf.StatusFailed, false, true, lost},
		"forgotten, with a link":          {serf.StatusNone, false, true, lost},
		"left, with a link":               {serf.StatusLeft, false, true, ""},
		"failed":                          {serf.StatusFailed, false, false, ""},
	} {
		var alive, linked []string
		var members []serf.Member
		if test.alive {
			alive = []string{"self", "m\x1b"}
		}
		if test.linked {
			linked = []string{"m\x1b"}
		}
		if test.status != serf.StatusNone {
			members = []serf.Member{{Name: "m\x1b", Status: test.status}}
		}
		o, now := &shutOut{grace: outGrace}, time.Now()
		look := func(after time.Duration) string {
			return strings.Join(o.look("self", alive, linked, members, now.Add(after)), "\n")
		}
		testkit.Want(t, name+": at first", look(0), "")
		testkit.Want(t, name+": within the grace", look(outGrace-1), "")
		got := look(outGrace)
		if !strings.Contains(got, test.want) || (got == "") != (test.want == "") || got != "" && !strings.Contains(got, test.want+`m\x1b;`) {
			t.Errorf("%s: %q", name, got)
		}
		back := []serf.Member{{Name: "m\x1b", Status: serf.StatusAlive}}
		testkit.Want(t, name+": it is back", len(o.look("self", alive, linked, back, now.Add(outGrace))), 0)
		testkit.Want(t, name+": out anew", look(outGrace+1), "")
	}
}

func TestNaming(t *testing.T) {
	t.Parallel()
	testkit.Want(t, "many", naming(map[string]bool{"d": true, "b": true, "a": true, "c": true, "e": true}), "a, b, c, 2 more")
}

// A forced leave that keeps a living member out is among the agent's warnings for as long
// as it does.
func TestAForcedLeaveIsAWarning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seldom := func(o *config.Options) { o.RetryInterval = 24 * time.Hour }
		n, other := start(t, seldom), start(t, seldom)
		join(t, n, other)
		testkit.Want(t, "warnings", len(n.warnings()), 0)
		n.members.out.mu.Lock()
		n.members.out.grace = 0 // such members deny it soon, and others may not
		n.members.out.mu.Unlock()
		must(t, n.serf.RemoveFailedNode(other.opts.NodeName))
		if got := strings.Join(n.warnings(), "\n"); !strings.Contains(got, "forced them to leave: "+other.opts.NodeName+";") {
			t.Errorf("%q", got)
		}
		must(t, n.mend())
		testkit.WaitFor(t, "it to be back", func() bool { return n.sees(other) == "alive" })
		testkit.Want(t, "warnings once it is back", len(n.warnings()), 0)
	})
}

// packetsOnly takes no streams, as a member whose TCP port is closed.
type packetsOnly struct{ memberlist.NodeAwareTransport }

func (packetsOnly) StreamCh() <-chan net.Conn { return nil }

// A lost member that answers and cannot be joined is among the agent's warnings.
func TestALostMemberThatIsThereIsAWarning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		soon := func(o *config.Options) { o.RetryInterval = time.Second }
		n, other := start(t, soon), start(t)
		join(t, n, other)
		other.crash(t)
		testkit.WaitFor(t, "it to have failed", func() bool { return n.sees(other) == "failed" })
		testkit.Want(t, "warnings while it does not answer", len(n.warnings()), 0)
		back := serfnode.New(t, memory.Network(t).Add(other.GossipAddr()), other.opts.NodeName, func(c *serf.Config) {
			// Its packets hold an answer to a ping, and not the word that it is alive.
			c.MemberlistConfig.UDPBufferSize = 20
			c.MemberlistConfig.Transport = packetsOnly{c.MemberlistConfig.Transport.(memberlist.NodeAwareTransport)}
		})
		there := "the lost member " + other.opts.NodeName + " is there, and could not be joined: "
		testkit.WaitFor(t, "the warning", func() bool { return strings.Contains(strings.Join(n.warnings(), "\n"), there) })
		must(t, back.Shutdown())
		testkit.WaitFor(t, "no warning once it does not answer", func() bool { return len(n.warnings()) == 0 })
	})
}
