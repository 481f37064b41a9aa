//go:build unix

package workers

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// leadTo makes or changes the api "a" at a node, so that it leads to a path of
// the origin.
func (f *fleet) leadTo(t *testing.T, n *fleetNode, path string) {
	t.Helper()
	url := fmt.Sprintf("http://%s/%s", f.origin, path)
	if a, err := request("GET", "http://"+n.admin+"/apis/a", ""); err == nil && a.status == 200 {
		n.change(t, "PATCH", "/apis/a", fmt.Sprintf(`{"upstream_url":%q}`, url))
		return
	}
	n.change(t, "POST", "/apis", fmt.Sprintf(`{"id":"a","path":"/a","upstream_url":%q}`, url))
}

// leads waits until every worker of some nodes serves that path, from its cache.
func leads(t *testing.T, nodes []*fleetNode, path string) {
	t.Helper()
	serves(t, nodes, look{path: "/a"}, "200 the origin's /"+path)
}

// told waits until the gateway of each of some nodes has been told that all of
// them joined.
func told(t *testing.T, nodes []*fleetNode) {
	t.Helper()
	var names []string
	for _, n := range nodes {
		names = append(names, n.name+`\t`)
	}
	delivered(t, nodes, names...)
}

// delivered waits until the gateway of each of some nodes has taken events, each
// of which is listed with one of these texts.
func delivered(t *testing.T, nodes []*fleetNode, texts ...string) {
	t.Helper()
	for _, n := range nodes {
		testkit.WaitFor(t, fmt.Sprintf("%s has been told of %q", n.name, texts), func() bool {
			list := proc.Output(t, "agentctl", "events", "-http-addr="+n.agent.HTTP, "-state=delivered")
			return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(list, text) })
		})
	}
}

// TestNginxAgentKilled kills the agent of one node. Its workers go on serving the
// old value, until the agent is back and has fetched what it missed.
func TestNginxAgentKilled(t *testing.T) {
	f := newNginxFleet(t, fleetSetup{nodes: 3, publish: "http", profile: "lan"})
	first, last := f.nodes[0], f.nodes[2]
	f.leadTo(t, first, "one")
	leads(t, f.nodes, "one")
	last.agent.Kill()
	f.leadTo(t, first, "two")
	leads(t, f.nodes[:2], "two")
	leads(t, f.nodes[2:], "one")
	last.startAgent(t)
	leads(t, f.nodes, "two")
	f.leadTo(t, last, "three")
	leads(t, f.nodes, "three")
}

// TestNginxReloaded has one nginx reloaded and one restarted while an entity is
// changed and read all the time: in the end every worker serves the last value.
func TestNginxReloaded(t *testing.T) {
	f := newNginxFleet(t, fleetSetup{nodes: 3, publish: "http", profile: "lan"})
	changed, reloaded, restarted := f.nodes[0], f.nodes[1], f.nodes[2]
	f.leadTo(t, changed, "begin")
	leads(t, f.nodes, "begin")

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			a, err := request("PATCH", "http://"+changed.admin+"/apis/a", fmt.Sprintf(`{"upstream_url":"http://%s/%d"}`, f.origin, i))
			if err != nil || a.status != 200 || a.header.Get("X-Cluster-Event") != "sent" {
				t.Errorf("change %d: %v, %d, %q: %s", i, err, a.status, a.header.Get("X-Cluster-Event"), a.body)
				return
			}
		}
	})
	for _, n := range f.nodes {
		running.Go(func() { // fills the caches with whatever is there
			for ctx.Err() == nil {
				request("GET", "http://"+n.proxy+"/a", "") // it may be down just now
			}
		})
	}
	for range 3 {
		before := pids(t, reloaded)
		reloaded.reload(t)
		testkit.WaitFor(t, "all workers are new ones", func() bool {
			reloaded.pool.renew()
			for pid := range pids(t, reloaded) {
				if before[pid] {
					return false
				}
			}
			return true
		})
		restarted.stop(t)
		restarted.start(t)
	}
	stop()
	running.Wait()
	f.leadTo(t, changed, "end")
	leads(t, f.nodes, "end")
}

// pids are the process numbers of a node's workers.
func pids(t *testing.T, n *fleetNode) map[int]bool {
	t.Helper()
	found := map[int]bool{}
	testkit.WaitFor(t, "every worker of "+n.name+" is reached", func() bool {
		clear(found)
		return n.pool.each(func(w *nginxWorker) error {
			found[w.state.Pid] = true
			return nil
		}) == nil
	})
	return found
}

// TestNginxDatabaseDown has the database fail when an event comes: the agents try
// again until it works, and meanwhile the old value is served.
func TestNginxDatabaseDown(t *testing.T) {
	f := newNginxFleet(t, fleetSetup{nodes: 2, publish: "http", profile: "lan"})
	told(t, f.nodes) // a join would make them drop the old value
	f.leadTo(t, f.nodes[0], "one")
	leads(t, f.nodes, "one")
	delivered(t, f.nodes, "user:kong")
	f.behind(t, "a", "two")
	f.fault(t, "500")
	proc.Output(t, "agentctl", "event", "-rpc-addr="+f.nodes[0].agent.RPC, "-coalesce=false", "kong",
		`{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"a","path":"/a"}}`)
	for _, n := range f.nodes {
		testkit.WaitFor(t, n.name+"'s agent tries again", func() bool { return proc.StatusOf(t, n.agent).Retried > 0 })
	}
	leads(t, f.nodes, "one")
	f.fault(t, "null")
	leads(t, f.nodes, "two")
}

// TestNginxMembers follows the rows of nodes as a node joins, fails, comes back
// and leaves. Its join makes every worker of the others drop all that it has.
func TestNginxMembers(t *testing.T) {
	f := newNginxFleet(t, fleetSetup{nodes: 2, publish: "http", profile: "lan"})
	old := f.nodes[:2]
	f.leadTo(t, f.nodes[0], "one")
	want := map[string]string{}
	at, _, err := net.SplitHostPort(f.nodes[0].agent.Gossip) // a member event has no port
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range f.nodes {
		want[n.name] = "alive at " + at
	}
	old[1].rows(t, want)
	told(t, old)
	delivered(t, old, "user:kong")
	leads(t, old, "one")
	f.behind(t, "a", "two")
	leads(t, old, "one")

	third := f.add(t, "node3")
	leads(t, f.nodes, "two")
	want["node3"] = "alive at " + at
	old[0].rows(t, want)

	third.agent.Kill()
	want["node3"] = "failed at " + at
	old[0].rows(t, want)
	third.startAgent(t)
	want["node3"] = "alive at " + at
	old[0].rows(t, want)
	proc.Output(t, "agentctl", "leave", "-rpc-addr="+third.agent.RPC)
	delete(want, "node3")
	old[0].rows(t, want)
}
