package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
)

// A gateway and a script that hang for ever cost nobody else anything.
func TestNothingBlocksGossip(t *testing.T) {
	t.Parallel()
	const events = 20_000
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(release) })
	good := testkit.NewGateway(t)
	a := start(t, handlers("user="+hanging.URL, "user=sleep 100000", "user="+good.URL), func(o *config.Options) { o.DrainTimeout = 0 })
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
	case <-time.After(5 * testkit.Patience):
		t.Fatal("publishing hangs")
	}
	// On a busy machine all of it takes long: a step at a time must not.
	for step := uint64(1); step <= 20; step++ {
		testkit.WaitFor(t, "the good gateway to have more", func() bool { return a.Targets()[1].Delivered >= events/20*step })
	}
	for i, p := range good.Of("user") {
		if p.Body != fmt.Sprint(i) {
			t.Fatalf("post %d is %q: order is lost", i, p.Body)
		}
	}
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
		if n := testkit.Counter(t, a.registry, "agentctl_events_dropped_total", reason); n != 0 {
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
	if n := testkit.Counter(t, a.registry, "agentctl_events_dropped_total", "handler_stopped"); n != events-1 {
		t.Errorf("%v counted as left at the end, want %d", n, events-1)
	}
}
