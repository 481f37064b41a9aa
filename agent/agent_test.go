package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/handler/target"
	"agentctl/scripts/testkit/memory"
)

// An agent that is half built has metrics already, and can be closed.
func TestMetricsBeforeSerf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hub, _ := newHub(t)
		a := &Agent{opts: compiled(t, options()), ports: Ports{RPC: memory.Network(t).Listen(memory.Addr())}, hub: hub, logger: hub.Logger(), hooks: Hooks{Metrics: prometheus.NewRegistry()}}
		a.end.sending, a.end.noMoreSending = context.WithCancel(t.Context())
		if err := errors.Join(a.openEvents(), a.openServers()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Metrics().Gather(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestHooksAndDebugInformation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		hub, buf := newHub(t)
		published, attempts := make(chan string, 1), make(chan error, 100)
		a, err := newOn(t, compiled(t, options(handlers("user:kong="+strings.Replace(gw.URL, "://", "://u:hidden@", 1), "user:x=curl http://v:hidden@h"))), hub, Hooks{
			Published: func(name string, payload []byte) { published <- name + " " + string(payload) },
			Attempted: func(target string, e handler.Event, err error, took time.Duration) { attempts <- err },
		})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, buf)
		if err := n.Publish(t.Context(), "kong", []byte("p"), false); err != nil {
			t.Fatal(err)
		}
		if got := <-published; got != "kong p" {
			t.Errorf("published %q", got)
		}
		if _, ok := errors.AsType[*target.PostError](<-attempts); !ok {
			t.Error("the failed attempt is not told")
		}
		gw.Down.Store(false)
		for err := range attempts {
			if err == nil {
				break
			}
		}
		stats := n.Stats()
		if stats["agent"]["name"] != n.opts.NodeName || stats["serf"]["members"] != "1" || len(stats["event_handlers"]) != 2 {
			t.Errorf("%v", stats)
		}
		for filter, what := range stats["event_handlers"] {
			if strings.Contains(what, "hidden") {
				t.Errorf("%s: %q shows a password", filter, what)
			}
		}
		n.end(nil)
		if err := n.stopped(t); err != nil {
			t.Error(err)
		}
		hub.Close()
		if strings.Contains(buf.String(), "hidden") {
			t.Error("a password is in the log")
		}
	})
}
