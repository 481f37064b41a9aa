package delivery

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// TestAgentAway kills an agent, publishes several times what serf remembers, and
// starts it again: its gateway gets all that it missed. A stock agent beside it,
// with its own means of the kind (a snapshot, and a join that replays), gets at
// most what serf remembers.
func TestAgentAway(t *testing.T) {
	missed := testkit.Setting(t, "AGENTCTL_TEST_MISSED_EVENTS", 1500, 5000)
	here := newDurable(t, "here")
	here.start(t)
	away := newDurable(t, "away", "-retry-join="+here.gossip)
	away.start(t)
	dir, bind := t.TempDir(), loopback.Addr()
	seen := filepath.Join(dir, "seen")
	startOne := func(rpc string) *proc.Node {
		t.Helper()
		n := &proc.Node{Gossip: bind, RPC: rpc}
		var err error
		n.Process, err = proc.Start(dir, "stock", os.Environ(), stock.Serf(t, stock.V011), "agent", "-node=stock",
			"-bind="+bind, "-rpc-addr="+n.RPC, proc.Profile, "-snapshot="+filepath.Join(dir, "snapshot"), "-replay",
			"-retry-join="+here.gossip, "-event-handler=user:kong=cat >>seen")
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, n.Process)
		if err := n.Answers(); err != nil {
			t.Fatalf("%v\n%s", err, n.Printed())
		}
		return n
	}
	stockSaw := func() int {
		data, _ := os.ReadFile(seen)
		return strings.Count(string(data), "\n")
	}
	stocks := startOne(loopback.Addr())
	testkit.WaitFor(t, "three members", func() bool { return proc.Alive(t, here.Node) == 3 && proc.Alive(t, away.Node) == 3 })
	publish := proc.NewPublisher(t, here.Node)
	var want []string
	event := func() {
		want = append(want, fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"%d"}}`, len(want)))
		publish(want[len(want)-1])
	}
	event()
	testkit.WaitFor(t, "the first event is everywhere", func() bool { return len(away.gw.Taken()) == 1 && stockSaw() == 1 })
	away.mustDie(t)
	stocks.Kill()
	for range missed {
		event()
	}
	testkit.WaitFor(t, "all have been posted at the node that stayed", func() bool { return len(here.gw.Taken()) == len(want) })
	away.start(t)
	startOne(loopback.Addr())
	back := time.Now()
	if left := testkit.Settle(func() int { return len(missing(away.gw, want)) }); left > 0 {
		t.Fatalf("%d of %d events are missing, and none came for %v", left, len(want), testkit.SettleLimit)
	}
	took := time.Since(back)
	got := stub.Bodies(away.gw.Taken())
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(slices.Compact(slices.Clone(got)), want) {
		t.Errorf("of %d posts some are no event that was published", len(got))
	}
	if s := proc.StatusOf(t, away.Node); s.Flushes != 0 || s.Lost != 0 {
		t.Errorf("nothing was lost to it, and it says: %+v", s)
	}
	// The stock one has had all that it will ever get of them once it has one that
	// is published now, and its serial handler is done.
	publish("now")
	testkit.WaitFor(t, "the stock agent has an event from now on", func() bool {
		data, _ := os.ReadFile(seen)
		return strings.Contains(string(data), "now")
	})
	last := -1
	testkit.WaitFor(t, "the stock agent's handler is done", func() bool {
		before := last
		last = stockSaw()
		return last == before && !testkit.PollFor(time.Second, func() bool { return stockSaw() > last })
	})
	t.Logf("SUMMARY away for %d events: ours had all %v after it was back (%d posts in all); stock serf had %d of them",
		missed, took.Round(10*time.Millisecond), len(got), last-2)
}
