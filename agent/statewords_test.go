package agent

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
)

// The words for this node and for members are serf's, in the status, in the metrics and in
// what makes an agent ready.
func TestStatesOfNodesAreSerfs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, r := opsNode(t, named("asked"))
		down, gone := start(t, named("down")), start(t, named("gone"))
		join(t, n.node, down, gone)
		status := func() (report api.StatusReport) {
			t.Helper()
			if code, text := r.ask(t, "GET", "/v1/status", "", &report); code != http.StatusOK {
				t.Fatalf("%d %s", code, text)
			}
			return report
		}
		members := func(what string, want map[string]int) {
			t.Helper()
			testkit.WaitFor(t, what, func() bool { return maps.Equal(status().Members, want) })
			_, metrics := n.get(t, "/metrics")
			for _, state := range []string{"alive", "leaving", "left", "failed"} {
				if line := "agentctl_members{status=\"" + state + "\"} " + string(rune('0'+want[state])); !strings.Contains(string(metrics), line+"\n") {
					t.Errorf("%s: the metrics lack %s", what, line)
				}
			}
		}
		members("all to be alive", map[string]int{"alive": 3})
		down.crash(t)
		members("one to have failed", map[string]int{"alive": 2, "failed": 1})
		gone.end(nil)
		if err := gone.stopped(t); err != nil {
			t.Error(err)
		}
		members("one to have left", map[string]int{"alive": 1, "failed": 1, "left": 1})
		testkit.Want(t, "state", status().State, "alive")
		if code, body := n.get(t, "/readyz"); code != http.StatusOK {
			t.Errorf("it is not ready: %d %s", code, body)
		}
		if err := n.Leave(); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "state of a node that has left, and runs on", status().State, "left")
		if code, body := n.get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(string(body), "the node is left") {
			t.Errorf("it has left: %d %s", code, body)
		}
	})
}
