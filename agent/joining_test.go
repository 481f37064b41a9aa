package agent

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// What was lost before a restart is looked for after it, though neither serf's
// snapshot nor a name tells of it; and the gateway gets what it missed.
func TestAMemberThatWasLostBeforeARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		soon := func(o *config.Options) { o.RetryInterval = time.Second }
		opts := []func(*config.Options){in(t.TempDir()), named("restarted"), handlers("user:kong=" + gw.URL), soon}
		other := start(t, named("lost"), bind(memory.Addr()))
		n := start(t, opts...)
		join(t, other, n)
		addr := other.GossipAddr()
		testkit.WaitFor(t, "it to be kept", func() bool {
			data, err := os.ReadFile(filepath.Join(n.opts.DataDir, "members.json"))
			return err == nil && strings.Contains(string(data), addr)
		})
		other.crash(t)
		testkit.WaitFor(t, "the other to have failed", func() bool { return n.countMembers("failed") == 1 })
		n.crash(t)
		n = start(t, opts...)
		// Serf's own attempt by its snapshot is over by then, if there was one.
		testkit.WaitFor(t, "it to be missed", func() bool { return testkit.Counter(t, n.Metrics(), "agentctl_rejoins_total", "unanswered") > 0 })
		other = start(t, named("lost"), func(o *config.Options) { o.Bind = addr })
		testkit.WaitFor(t, "both to be one cluster", func() bool { return n.countMembers("alive") == 2 && other.countMembers("alive") == 2 })
		testkit.WaitFor(t, "word that it was looked for", func() bool {
			return n.log.Count("level=INFO", "a lost member is joined again", "member=lost") > 0
		})
		publishTo(t, other, "after")
		testkit.WaitFor(t, "the event", func() bool { return len(gw.Of("user")) == 1 })
	})
}

// Who the members are is in the file a second after serf tells it, long before the next
// round that looks for lost ones.
func TestMembersAreKeptSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rare := func(o *config.Options) { o.RetryInterval = time.Hour }
		n, other := start(t, rare, in(t.TempDir())), start(t, rare, named("other"))
		kept := func() string {
			data, err := os.ReadFile(filepath.Join(n.opts.DataDir, "members.json"))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		join(t, n, other)
		time.Sleep(1100 * time.Millisecond) // a write each second
		synctest.Wait()
		if list := kept(); !strings.Contains(list, other.GossipAddr()) || strings.Contains(list, "lost") {
			t.Errorf("after the join the file has %s", list)
		}
		other.crash(t)
		testkit.WaitFor(t, "the other to have failed", func() bool { return n.countMembers("failed") == 1 })
		time.Sleep(1100 * time.Millisecond) // a write each second
		synctest.Wait()
		if list := kept(); !strings.Contains(list, "lost") {
			t.Errorf("after the failure the file has %s", list)
		}
	})
}

// A node that others found, or that found them by its snapshot, is in the cluster
// although what it was to join is gone: it is ready, compares journals, and holds no
// publishes.
func TestJoinedAlthoughNoNameCanBe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := start(t, func(o *config.Options) {
			o.RetryJoin, o.RetryInterval = []string{memory.Addr()}, time.Second
			o.HTTPAddr = "127.0.0.1:0"
		})
		testkit.WaitFor(t, "a join to fail", func() bool { return n.log.Count("joining failed, trying again") > 0 })
		if n.isJoined() {
			t.Error("joined, although nobody is there")
		}
		other := start(t)
		if _, err := other.Join([]string{n.GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "it to count as joined", n.isJoined)
		// The log writes its lines behind the agent's back.
		testkit.WaitFor(t, "word of it", func() bool { return n.log.Count("in the cluster, although none of retry-join") == 1 })
		if n.Contacted() != 0 {
			t.Errorf("contacted %d:\n%s", n.Contacted(), n.log)
		}
		testkit.WaitFor(t, "it to be ready", func() bool { status, _ := n.get(t, "/readyz"); return status == http.StatusOK })
		testkit.WaitFor(t, "a comparison", func() bool { return testkit.Counter(t, n.Metrics(), "agentctl_repair_comparisons_total", "same") > 0 })
		failures := n.log.Count("joining failed, trying again")
		testkit.WaitFor(t, "the name to be tried on", func() bool { return n.log.Count("joining failed, trying again") > failures })
		publishTo(t, n, "at once")
		if n.log.Count("publishing although no node could be joined") != 0 {
			t.Error("a publish was held")
		}
	})
}

// Agents answer each other over their links whom they see.
func TestAgentsTellWhomTheySee(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := start(t), start(t)
		join(t, a, b)
		testkit.WaitFor(t, "them to know each other as peers", func() bool {
			return slices.Equal(a.peers.Known(), []string{b.opts.NodeName}) && slices.Equal(b.peers.Known(), []string{a.opts.NodeName})
		})
		want, err := a.members.views.Answer(t.Context(), link.Peer{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "an answer that agrees", func() bool {
			got, err := a.askPeer(link.KindMembers)(t.Context(), b.opts.NodeName, []byte{1})
			return err == nil && bytes.Equal(got, want)
		})
		time.Sleep(time.Minute) // of the bubble's clock, for two rounds
		for _, n := range []*node{a, b} {
			if asked := testkit.CounterWith(t, n.Metrics(), "agentctl_members_asked", nil); asked != 1 {
				t.Errorf("%s has asked %v peers by itself, want 1", n.opts.NodeName, asked)
			}
		}
	})
}

// A node that died and was made anew at another address has its name again soon
// after the others found it to have failed: by itself memberlist takes half a
// minute and more.
func TestANameAtAnotherAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var nodes []*serf.Serf
		begin := func(name string) *serf.Serf {
			s := bareSerf(t, name)
			if len(nodes) > 0 {
				if _, err := s.Join([]string{nodes[0].Memberlist().LocalNode().Address()}, false); err != nil {
					t.Fatal(err)
				}
			}
			nodes = append(nodes, s)
			return s
		}
		for i := range 3 {
			begin(fmt.Sprint("n", i))
		}
		time.Sleep(time.Minute)
		nodes[2].Shutdown()
		died := time.Now()
		failed := func() bool {
			return slices.ContainsFunc(nodes[0].Members(), func(m serf.Member) bool { return m.Name == "n2" && m.Status == serf.StatusFailed })
		}
		for !failed() {
			time.Sleep(time.Second)
		}
		t.Logf("found to have failed after %v", time.Since(died))
		time.Sleep(gossip.ReclaimTime)
		again := begin("n2") // at another address
		time.Sleep(5 * time.Second)
		for _, s := range []*serf.Serf{nodes[0], nodes[1], again} {
			if alive := peers.AliveNames(s.Members()); len(alive) != 3 || s.State() != serf.SerfAlive {
				t.Errorf("%s is %v, and sees %q", s.LocalMember().Name, s.State(), alive)
			}
		}
	})
}
