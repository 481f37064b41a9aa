package agent

import (
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// What a gateway lacks is made good by a member-join of this node, which Kong
// drops its cache at, before anything else is posted, and in the next process
// if this one ends before. A reload leaves such a target alone.
func TestGatewayIsFlushed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		dir := t.TempDir()
		set := func(o *config.Options) {
			o.NodeName = "n1"
			o.Gateway, o.DataDir = gw.URL, dir
		}
		n := start(t, set)
		if err := n.journal.Gap(2, "history is gone"); err != nil {
			t.Fatal(err)
		}
		status := func() delivery.Status { return n.Targets()[0] }
		testkit.WaitFor(t, "the flush to fail", func() bool { return status().State == delivery.StateFlushing && status().Attempts > 0 })
		before := n.sinks.served()[0]
		if err := n.Reload(compiled(t, options(set))); err != nil {
			t.Fatal(err)
		}
		if n.sinks.served()[0] != before {
			t.Error("a target that did not change was begun anew")
		}
		n.end(ErrNoLeave)
		<-n.done

		gw.Down.Store(false)
		n = start(t, set)
		testkit.WaitFor(t, "the flush", func() bool { return status().Flushes == 1 && status().State == delivery.StateOK })
		if s := status(); s.Lost != 2 || !s.GapSince.IsZero() {
			t.Errorf("%+v", s)
		}
		member := handler.NewMember(handler.MemberJoin, "", script.MemberLines(n.Members()), time.Time{})
		if p := gw.Posts()[0]; p.Type != "" || p.ID != "" || p.Body != string(member.Body()) {
			t.Errorf("posted first: %+v, want %s", p, member.Body())
		}
	})
}
