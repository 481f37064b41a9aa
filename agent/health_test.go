package agent

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
)

// stuck is what Hung says within a short time.
func (n *node) stuck(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	return n.Hung(ctx)
}

// Each loop and lock that the agent cannot do without is looked at.
func TestHealthzLooksAtTheLoops(t *testing.T) {
	t.Parallel()
	gw := testkit.NewGateway(t)
	n := start(t, handlers("user:kong="+gw.URL), func(o *config.Options) { o.HTTPAddr = "127.0.0.1:0" })
	testkit.WaitFor(t, "all to answer", func() bool { return len(n.stuck(t)) == 0 })
	for reason, hang := range map[string]func() (free func()){
		"the intake does not pass events on to the journal": func() func() {
			hang := make(chan struct{})
			n.intake.Subscribe(func(serf.Event) { <-hang })
			publishTo(t, n, "x")
			testkit.WaitFor(t, "the event to be taken", func() bool { return len(gw.Of("user")) > 0 })
			return func() { close(hang) }
		},
		"the delivery of a target does not say how it stands": func() func() {
			n.sinks.mu.Lock()
			return n.sinks.mu.Unlock
		},
	} {
		free := hang()
		testkit.WaitFor(t, reason, func() bool { return slices.Contains(n.stuck(t), reason) })
		free()
		testkit.WaitFor(t, "all to answer again", func() bool { return len(n.stuck(t)) == 0 })
	}
	n.sinks.mu.Lock()
	status, body := n.get(t, "/healthz")
	n.sinks.mu.Unlock()
	if status != http.StatusServiceUnavailable || !strings.Contains(string(body), `"failing"`) {
		t.Errorf("healthz of an agent that hangs: %d %s", status, body)
	}
}

func TestReadyzAsksRPCAndTellsTargets(t *testing.T) {
	t.Parallel()
	gw := testkit.NewGateway(t)
	n := start(t, handlers("user:kong="+gw.URL), func(o *config.Options) { o.HTTPAddr = "127.0.0.1:0" })
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
	n.rpcLn.Close()
	want("/readyz", http.StatusServiceUnavailable, "RPC takes no clients: ")
}
