package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// A node that was away for more than serf remembers gets all of it: each of
// these events has a Lamport time of its own, since they are equal.
func TestAwayForLongerThanSerfRemembers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const missed = 3 * gossip.Window
		gw, dir := memory.NewGateway(t), t.TempDir()
		others := []func(*config.Options){in(t.TempDir()), named("other"), bind(memory.Addr())}
		other := start(t, others...)
		opts := []func(*config.Options){in(dir), named("long-away"), bind(memory.Addr()), handlers("user:kong=" + gw.URL)}
		n := start(t, opts...)
		join(t, other, n)
		addr := n.GossipAddr() // the cluster does not take the name at another
		publishTo(t, other, "first")
		testkit.WaitFor(t, "the first post", func() bool { return len(gw.Of("user")) == 1 })
		n.crash(t)
		for range missed {
			publishTo(t, other, "same")
		}
		// Its gossip queue and its links forget what they may still hold for n.
		other.crash(t)
		other = start(t, others...)
		n = start(t, append(opts, func(o *config.Options) { o.Bind, o.RetryJoin = addr, []string{other.GossipAddr()} })...)
		testkit.WaitFor(t, "all posts", func() bool { return len(gw.Of("user")) == 1+missed })
		if n.took(t, intake.Repair) == 0 {
			t.Error("nothing came by repair, so nothing was shown")
		}
		if s := n.Targets()[0]; s.Lost != 0 || s.State != delivery.StateOK {
			t.Errorf("the target: %+v", s)
		}
	})
}

// Where the other node has forgotten what was missed too, the target is flushed
// once, and then has its events in order again.
func TestAwayForLongerThanAnyoneRemembers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		other := start(t, func(o *config.Options) { o.JournalMaxEvents = 100 })
		flush := config.TargetOptions{Name: "gw", URL: gw.URL, Events: "user:kong", Flush: config.FlushOptions{Body: "flush"}}
		opts := []func(*config.Options){in(dir), named("too-long-away"), bind(memory.Addr()), func(o *config.Options) {
			o.EventHandlers, o.Targets = nil, []config.TargetOptions{flush}
		}}
		n := start(t, opts...)
		join(t, other, n)
		addr := n.GossipAddr()
		publishTo(t, other, "first")
		testkit.WaitFor(t, "the first post", func() bool { return len(gw.Of("user")) == 1 })
		// The two have compared their journals: else nobody knows what was missed.
		testkit.WaitFor(t, "a comparison", func() bool { return testkit.Counter(t, n.Metrics(), "agentctl_repair_comparisons_total", "same") > 0 })
		n.crash(t)
		for range 3 * gossip.Window {
			publishTo(t, other, "same")
		}
		n = start(t, append(opts, func(o *config.Options) { o.Bind, o.RetryJoin = addr, []string{other.GossipAddr()} })...)
		testkit.WaitFor(t, "the flush", func() bool { return n.Targets()[0].Flushes == 1 })
		// What gossip still brings of what was missed comes in no order; what is
		// published now does, over a link, once that is there.
		testkit.WaitFor(t, "it to be known as a peer", func() bool { return other.peers.Is(n.opts.NodeName) })
		awaitRoutes()
		before := other.acknowledged(t)
		publishTo(t, other, "to open a link")
		testkit.WaitFor(t, "a link", func() bool { return other.acknowledged(t) > before })
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint("after ", i))
		}
		for _, w := range want {
			// One at a time: gossip might bring a later one first.
			before := other.acknowledged(t)
			publishTo(t, other, w)
			testkit.WaitFor(t, "it to go over the link", func() bool { return other.acknowledged(t) > before })
		}
		var got []string
		testkit.WaitFor(t, "what was published after the flush", func() bool {
			got = slices.DeleteFunc(bodies(gw.Of("user")), func(b string) bool { return !strings.HasPrefix(b, "after ") })
			return len(got) == len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("after the flush %q were posted, in this order", got)
		}
		if s := n.Targets()[0]; s.Flushes != 1 || s.State != delivery.StateOK || time.Since(s.LastFlush) > testkit.Patience {
			t.Errorf("the target: %+v", s)
		}
	})
}

// A peer that is found is compared with at once, and so is one to whom messages
// were dropped.
func TestAPeerIsComparedWithOnceItIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := start(t), start(t)
		join(t, a, b)
		compared := func() float64 { return testkit.Counter(t, a.Metrics(), "agentctl_repair_comparisons_total", "same") }
		testkit.WaitFor(t, "the first comparison", func() bool { return compared() > 0 })
		for range 5 { // at the usual pace that takes a minute and more
			before := compared()
			a.publisher.broadcast.Behind(b.opts.NodeName, false)
			testkit.WaitFor(t, "a comparison", func() bool { return compared() > before })
		}
		began := time.Now()
		a.peers.Forget(b.opts.NodeName)
		a.peers.Found(b.opts.NodeName)
		before := compared()
		testkit.WaitFor(t, "a comparison with who was found", func() bool { return compared() > before })
		t.Logf("compared %v after it was found", time.Since(began))
	})
}

// What is published after a repair is no copy of what came by it, where the
// clock was behind: the other half of a cluster that was split may have used the
// next Lamport times for the same payload.
func TestTheClockFollowsRepair(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		n := start(t, handlers("user:kong="+gw.URL))
		publishTo(t, n, "first")
		clock := n.serf.EventClock()
		var other []handler.Event
		for i := range uint64(3) {
			other = append(other, handler.NewUser(clock+i, "kong", []byte("same"), time.Now()))
		}
		if err := n.takeRepaired(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond) // the Lamport time of before is not used any longer than 5 ms
		publishTo(t, n, "same")
		testkit.WaitFor(t, "the one that was published here, too", func() bool { return len(gw.Of("user")) == 5 })
		if got := n.serf.EventClock(); got <= clock+3 {
			t.Errorf("the clock is at %d, and was at %d before events up to %d came", got, clock, clock+2)
		}
	})
}
