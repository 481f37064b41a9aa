package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// Whole agents ask for each other, where a node would have to ask more than 64. What they
// say is true also while a gateway is down.
func TestAgentsAskForEachOther(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs 70 agents")
	}
	bubble(t, func(t *testing.T) {
		const size = 70
		up, down := memory.NewGateway(t), memory.NewGateway(t)
		down.Down.Store(true)
		var agents []*node
		registries := make([]*prometheus.Registry, size)
		for i := range size {
			gw := up
			if i == 50 {
				gw = down
			}
			change := []func(*config.Options){named(fmt.Sprintf("gateway-%02d", i)), func(o *config.Options) { o.LogLevel = "info" }, handlers("user:e=" + gw.URL)}
			if i == 0 {
				change = append(change, serveHTTP)
			}
			hub, buf := newHub(t)
			registries[i] = prometheus.NewRegistry()
			a, err := newOn(t, compiled(t, options(change...)), hub, Hooks{Metrics: registries[i]})
			if err != nil {
				t.Fatal(err)
			}
			agents = append(agents, run(t, a, buf))
		}
		join(t, agents...)
		r := &opsRig{"http://" + agents[0].HTTPAddr(), memory.Client(t)}
		want := map[string]api.NodeState{}
		for _, n := range agents {
			want[n.opts.NodeName] = api.NodeApplied
		}
		want["gateway-50"] = api.NodeWaiting
		id := r.publishFor(t, "one")
		if report := r.awaitNodes(t, id, want); report.Applied || !report.Open {
			t.Errorf("a gateway is down: applied %v, open %v", report.Applied, report.Open)
		}
		down.Down.Store(false)
		want["gateway-50"] = api.NodeApplied
		r.awaitNodes(t, id, want)

		id = r.publishFor(t, "two")
		began := time.Now()
		report, _ := r.nodes(t, id, "20s")
		if took := time.Since(began); !report.Applied || took > time.Second {
			t.Errorf("applied %v after %v", report.Applied, took)
		}
		delegated := 0.0
		for _, registry := range registries {
			delegated += testkit.CounterWith(t, registry, "agentctl_questions_delegated_total", map[string]string{"result": "answered"})
		}
		t.Logf("%v requests to delegates", delegated)
		if delegated < 4 {
			t.Errorf("only %v requests to delegates", delegated)
		}

		// How all are is asked by delegates, too.
		down.Down.Store(true)
		r.publishFor(t, "three")
		how := map[string]string{}
		for _, n := range agents {
			how[n.opts.NodeName] = "answered"
		}
		how["gateway-50"] = "answered, retrying: answered 503 Service Unavailable"
		r.awaitCluster(t, how)
		began = time.Now()
		r.awaitCluster(t, how)
		delegated = 0
		for _, registry := range registries {
			delegated += testkit.CounterWith(t, registry, "agentctl_status_delegated_total", map[string]string{"result": "answered"})
		}
		if took := time.Since(began); took > time.Second || delegated < 4 {
			t.Errorf("how all are was told after %v, with %v requests to delegates", took, delegated)
		}
	})
}
