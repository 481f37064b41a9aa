package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/agent/script"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// hangScript has the script of an agent, which has one, hang until it is killed. A
// process that hangs would stop the clock of the bubble.
func hangScript(t *testing.T, a *Agent) {
	t.Helper()
	for _, s := range a.sinks.list {
		if s.target == nil {
			s.runner = script.NewRunner(s.name, s.script.Filters, a.logger, a.sinks.scripts,
				func(ctx context.Context, _ script.Task) { <-ctx.Done() })
			a.intake.SetRunners(a.sinks.runners())
			return
		}
	}
	t.Fatal("the agent has no script")
}

// A gateway and a script that hang for ever cost nobody else anything. With a script
// that hangs, stock serf hangs itself at the 3,140th event.
func TestNothingBlocksGossip(t *testing.T) {
	events := testkit.Setting(t, "AGENTCTL_TEST_HANGING_EVENTS", 5000, 20_000)
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		hanging := memory.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		t.Cleanup(func() { close(release) })
		good := memory.NewGateway(t)
		buf := new(testkit.LogBuffer)
		hub := logs.New(logs.Config{Out: buf, Level: slog.LevelInfo}) // debug lines of so many events take long
		t.Cleanup(hub.Close)
		inner, err := newOn(t, compiled(t, options(handlers("user="+hanging.URL, "user=sleep 100000", "user="+good.URL), func(o *config.Options) {
			o.DrainTimeout = time.Second
		})), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		hangScript(t, inner)
		a := run(t, inner, buf)
		b := start(t)
		join(t, a, b)
		var lapses sync.Map // what b saw of a, but alive
		watching, stop := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watching)
			for tick := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-tick.C:
					if s := b.sees(a); s != "alive" {
						lapses.Store(s, true)
					}
				case <-stop:
					tick.Stop()
					return
				}
			}
		}()
		published := make(chan error, 1)
		go func() {
			for n := range events {
				if err := a.Publish(t.Context(), "e", fmt.Append(nil, n), false); err != nil {
					published <- err
					return
				}
			}
			published <- nil
		}()
		select {
		case err := <-published:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(testkit.Patience):
			t.Fatal("publishing hangs")
		}
		testkit.WaitFor(t, "the good gateway to have all", func() bool { return a.Targets()[1].Delivered == uint64(events) })
		for i, p := range good.Of("user") {
			if p.Body != fmt.Sprint(i) {
				t.Fatalf("post %d is %q: order is lost", i, p.Body)
			}
		}
		time.Sleep(20 * time.Second) // of gossip: a member that is silent fails sooner
		close(stop)
		<-watching
		lapses.Range(func(s, _ any) bool { t.Errorf("the other node saw this one as %q", s); return true })
		if a.countMembers("alive") != 2 {
			t.Errorf("members: %v", a.Members())
		}
		if s := a.Targets()[0]; s.Waiting != events || s.Lost != 0 {
			t.Errorf("the hanging gateway: %+v, want %d waiting", s, events)
		}
		// One event is with the script, the others wait for it: none is lost yet.
		if n := a.sinks.runners()[0].Waiting(); n != events-1 {
			t.Errorf("%d events wait for the script, want %d", n, events-1)
		}
		for _, reason := range []string{"intake_full", "handler_full"} {
			if n := testkit.Counter(t, a.Metrics(), "agentctl_events_dropped_total", reason); n != 0 {
				t.Errorf("%v dropped: %s", n, reason)
			}
		}
		a.end(nil)
		if err := a.stopped(t); err != nil {
			t.Error(err)
		}
		a.hub.Close()
		if a.log.Count("events were not delivered before the end", fmt.Sprint("waiting=", events)) != 1 ||
			a.log.Count("events were not handled before the end", "sleep 100000", fmt.Sprint("waiting=", events-1)) != 1 {
			t.Error("what is left at the end is not told")
		}
		if n := testkit.Counter(t, a.Metrics(), "agentctl_events_dropped_total", "handler_stopped"); n != float64(events-1) {
			t.Errorf("%v counted as left at the end, want %d", n, events-1)
		}
	})
}
