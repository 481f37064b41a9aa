package agent

import (
	"net"
	"slices"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// A configuration that is wrong for a while costs nothing: neither a start that
// fails, nor one that is served by it, nor a reload.
func TestAPlaceIsKeptForACorrectedConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		gw.Down.Store(true)
		right, wrong := handlers("user:kong="+gw.URL), handlers("user:kong="+gw.URL+"/wrong")
		opts := []func(*config.Options){in(dir), named("mended"), right}
		n := start(t, opts...)
		publishTo(t, n, "1", "2")
		testkit.WaitFor(t, "an attempt", func() bool { return gw.Attempts() > 0 })
		hub, _ := newHub(t)
		n.crash(t)

		ln, err := net.Listen("tcp", "127.0.0.1:0") // nobody dials it
		if err != nil {
			t.Fatal(err)
		}
		taken := ln.Addr().String()
		if _, err := New(compiled(t, options(in(dir), wrong, func(o *config.Options) { o.RPCAddr = taken })), hub, Hooks{}); err == nil {
			t.Fatal("an agent starts on a port that is taken")
		}
		ln.Close()

		kept := []string{"level=WARN", "not configured any more", gw.URL + "#user:kong", "waiting=2"}
		n = startRunning(t, in(dir), named("mended"), wrong)
		testkit.WaitFor(t, "the log to tell of the place that is kept", func() bool { return n.log.Count(kept...) == 1 })
		o := n.opts.Options
		right(&o)
		if err := n.Reload(compiled(t, o)); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "both to wait again", func() bool { return n.Targets()[0].Waiting == 2 })
		wrong(&o)
		if err := n.Reload(compiled(t, o)); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the log to tell of the place that is kept", func() bool { return n.log.Count(kept...) == 2 })
		n.crash(t)

		gw.Down.Store(false)
		start(t, opts...)
		testkit.WaitFor(t, "the posts", func() bool { return len(gw.Of("user")) >= 2 })
		if got := bodies(gw.Of("user")); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("posted %q", got)
		}
	})
}

func TestTargetsThatAreGoneAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		gw.Down.Store(true)
		n := start(t, in(dir), handlers("user:kong="+gw.URL, "query="+gw.URL))
		publishTo(t, n, "1", "2")
		testkit.WaitFor(t, "an attempt", func() bool { return gw.Attempts() > 0 })
		n.crash(t)
		other := gw.URL + "/other#user:kong"
		// What waits for nothing goes at once, the rest as soon as it is too old,
		// while the agent runs.
		n = start(t, in(dir), handlers("user:kong="+gw.URL+"/other"), func(o *config.Options) { o.JournalMaxAge = 2 * time.Second })
		testkit.WaitFor(t, "the warning", func() bool {
			return n.log.Count("level=ERR", "not served any more", gw.URL+"#user:kong", "dropped=2") == 1
		})
		testkit.WaitFor(t, "the other, which lacks nothing", func() bool {
			return n.log.Count("level=INFO", "not served any more", gw.URL+"#query", "dropped=0") == 1
		})
		testkit.WaitFor(t, "their places to go", func() bool { return slices.Equal(n.journal.Targets(), []string{other}) })
		if got := testkit.Counter(t, n.Metrics(), "agentctl_events_dropped_total", "target_removed"); got != 2 {
			t.Errorf("%v counted as dropped, want 2", got)
		}
	})
}

func TestWhatIsStillNeeded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	old, young := now.Add(-time.Second), now.Add(time.Second)
	for name, c := range map[string]struct {
		s    journal.CursorStatus
		want bool
	}{
		"nothing":       {journal.CursorStatus{}, false},
		"lost, flushed": {journal.CursorStatus{Lost: 3}, false},
		"waiting":       {journal.CursorStatus{Waiting: 1, Oldest: young}, true},
		"waiting, old":  {journal.CursorStatus{Waiting: 1, Oldest: old}, false},
		"a gap":         {journal.CursorStatus{Gap: journal.Gap{Since: young}}, true},
		"an old gap":    {journal.CursorStatus{Gap: journal.Gap{Since: old}}, false},
		"buried":        {journal.CursorStatus{Buried: 1}, true},
	} {
		if got := stillNeeds(c.s, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
