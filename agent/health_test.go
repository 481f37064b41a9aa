package agent

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// stuck is what Hung says within a short time.
func (n *node) stuck(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	return n.Hung(ctx)
}

// A loop that the agent cannot do without is looked at.
func TestHealthzLooksAtTheLoops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		n := start(t, handlers("user:kong="+gw.URL), serveHTTP)
		testkit.WaitFor(t, "all to answer", func() bool { return len(n.stuck(t)) == 0 })
		// RPC subscribes to events as it begins, and would wait for a lock from here on.
		testkit.WaitFor(t, "RPC", func() bool { status, _ := n.get(t, "/readyz"); return status == http.StatusOK })
		hang := make(chan struct{})
		n.intake.Subscribe(func(serf.Event) { <-hang })
		publishTo(t, n, "x")
		testkit.WaitFor(t, "the event to be taken", func() bool { return len(gw.Of("user")) > 0 })
		const reason = "the intake does not pass events on to the journal"
		testkit.WaitFor(t, reason, func() bool { return slices.Contains(n.stuck(t), reason) })
		status, body := n.get(t, "/healthz")
		if status != http.StatusServiceUnavailable || !strings.Contains(string(body), `"failing"`) || !strings.Contains(string(body), reason) {
			t.Errorf("healthz of an agent that hangs: %d %s", status, body)
		}
		close(hang)
		testkit.WaitFor(t, "all to answer again", func() bool { return len(n.stuck(t)) == 0 })
	})
}

func TestReadyzAsksRPCAndTellsTargets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		n := start(t, handlers("user:kong="+gw.URL), serveHTTP)
		want := func(path string, status int, parts ...string) {
			t.Helper()
			got, body := n.get(t, path)
			ok := got == status
			for _, part := range parts {
				ok = ok && strings.Contains(string(body), part)
			}
			if !ok {
				t.Errorf("%s: %d %s, want %d with %q", path, got, body, status, parts)
			}
		}
		testkit.WaitFor(t, "RPC", func() bool { status, _ := n.get(t, "/readyz"); return status == http.StatusOK })
		want("/readyz", http.StatusOK, `#user:kong": "ok"`)
		want("/readyz?targets=ok", http.StatusOK)
		want("/readyz?targets=all", http.StatusBadRequest, "the only value is ok")
		gw.Down.Store(true)
		publishTo(t, n, "x")
		testkit.WaitFor(t, "the target to fail", func() bool { return n.Targets()[0].State == "retrying" })
		want("/readyz", http.StatusOK, `#user:kong": "retrying"`)
		want("/readyz?targets=ok", http.StatusServiceUnavailable, "is retrying")
		gw.Down.Store(false)
		n.ports.RPC.Close()
		want("/readyz", http.StatusServiceUnavailable, "RPC takes no clients: ")
	})
}
