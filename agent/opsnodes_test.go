package agent

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// publishFor publishes an event over HTTP and returns its ID.
func (r *opsRig) publishFor(t *testing.T, payload string) string {
	t.Helper()
	var sent api.PublishReport
	if status, text := r.ask(t, "POST", "/v1/events?name=e", payload, &sent, "Content-Type", "application/octet-stream"); status != http.StatusAccepted {
		t.Fatalf("publishing %q: %d %s", payload, status, text)
	}
	return sent.ID
}

// nodes asks what became of an event everywhere.
func (r *opsRig) nodes(t *testing.T, id, wait string) (report api.NodesReport, states map[string]api.NodeState) {
	t.Helper()
	if status, text := r.ask(t, "GET", "/v1/events/"+id+"/nodes?wait="+wait, "", &report); status != http.StatusOK {
		t.Fatalf("the nodes of %s: %d %s", id, status, text)
	}
	states = map[string]api.NodeState{}
	for _, n := range report.Nodes {
		states[n.Node] = n.State
	}
	return report, states
}

// awaitNodes asks until the nodes are in these states: a question who is a peer
// may be lost, and is repeated after ten seconds only.
func (r *opsRig) awaitNodes(t *testing.T, id string, want map[string]api.NodeState) (report api.NodesReport) {
	t.Helper()
	var states map[string]api.NodeState
	defer func() {
		if t.Failed() {
			t.Logf("the nodes were: %+v", report)
		}
	}()
	testkit.WaitFor(t, fmt.Sprintf("the nodes to be %v", want), func() bool {
		report, states = r.nodes(t, id, "1s")
		return maps.Equal(states, want)
	})
	return report
}

// TestWhatBecameOfAnEventEverywhere asks one of three agents, beside which there
// are one without links and later one that is down.
func TestWhatBecameOfAnEventEverywhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, r := opsNode(t, named("asked"))
		down := startWithGateway(t, named("gateway-down"))
		refusing := memory.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no such thing", http.StatusBadRequest)
		})
		none := start(t, named("no-target"), func(o *config.Options) { o.EventHandlers = []string{"user:other=" + refusing.URL} })
		join(t, n.node, down.node, none)

		want := map[string]api.NodeState{"asked": api.NodeApplied, "gateway-down": api.NodeApplied, "no-target": api.NodeApplied}
		report := r.awaitNodes(t, r.publishFor(t, "one"), want)
		if !report.Applied || report.Open {
			t.Errorf("all is well: %+v", report)
		}
		for _, of := range report.Nodes {
			for name, o := range of.Targets {
				if o.State != api.OutcomeDelivered || o.Status != http.StatusOK {
					t.Errorf("%s of %s: %+v", name, of.Node, o)
				}
			}
			if got := len(of.Targets); got != 1 && of.Node != "no-target" || got != 0 && of.Node == "no-target" {
				t.Errorf("%s has %d targets for it", of.Node, got)
			}
		}

		// One gateway is down: no answer before its time is over, and then it is named.
		down.gw.Down.Store(true)
		id := r.publishFor(t, "two")
		want["gateway-down"] = api.NodeWaiting
		if report := r.awaitNodes(t, id, want); report.Applied || !report.Open {
			t.Errorf("a gateway is down: %+v", report)
		}
		// It is asked again until it is well.
		down.gw.Down.Store(false)
		want["gateway-down"] = api.NodeApplied
		if report := r.awaitNodes(t, id, want); !report.Applied {
			t.Errorf("the gateway is well again: %+v", report)
		}

		// One refuses, one cannot be asked, one is down.
		refuser := start(t, named("refuser"), handlers("user:e="+refusing.URL))
		unlinked := start(t, named("unlinked"), func(o *config.Options) { o.PeerLinks = false })
		join(t, n.node, down.node, none, refuser, unlinked)
		none.crash(t)
		testkit.WaitFor(t, "the crash to be noticed", func() bool { return n.countMembers("failed") == 1 })
		maps.Copy(want, map[string]api.NodeState{"refuser": api.NodeRefused, "unlinked": api.NodeUnknown, "no-target": api.NodeFailed})
		report = r.awaitNodes(t, r.publishFor(t, "three"), want)
		if report.Applied || !report.Open {
			t.Errorf("one of each: %+v", report)
		}
		for _, of := range report.Nodes {
			if of.Node == "refuser" {
				if len(of.Targets) != 1 || !strings.Contains(fmt.Sprint(of.Targets), "400 Bad Request") {
					t.Errorf("why it was refused is not told: %+v", of)
				}
			}
		}
		// An event that nobody has.
		if _, states := r.nodes(t, "99-0123456789abcdef", "0s"); states["asked"] != api.NodeAbsent || states["refuser"] != api.NodeAbsent {
			t.Errorf("an event that never was: %v", states)
		}
	})
}

// A node that was forced to leave, or pruned, and lives is asked: its gateway may still
// lack the event.
func TestANodeThatIsForcedOutAndLivesIsAsked(t *testing.T) {
	for name, force := range map[string]func(*serf.Serf, string) error{
		"forced": (*serf.Serf).RemoveFailedNode, "pruned": (*serf.Serf).RemoveFailedNodePrune,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n, r := opsNode(t, named("asked"))
				forced := startWithGateway(t, named("forced"))
				join(t, n.node, forced.node)
				forced.gw.Down.Store(true)
				id := r.publishFor(t, "one")
				r.awaitNodes(t, id, map[string]api.NodeState{"asked": api.NodeApplied, "forced": api.NodeWaiting})
				must(t, force(n.serf.Serf, "forced")) // as a message of a stock member does it
				if s := n.sees(forced.node); s == "alive" {
					t.Fatal("it counts as alive")
				}
				if report, states := r.nodes(t, id, "0s"); report.Applied || states["forced"] != api.NodeWaiting {
					t.Errorf("%+v", report)
				}
				forced.gw.Down.Store(false)
				if report, _ := r.nodes(t, id, "20s"); !report.Applied || len(report.Nodes) != 2 {
					t.Errorf("once its gateway is back: %+v", report)
				}
			})
		})
	}
}

// Who would get an event is told by each node that can be asked, and nothing is published.
func TestWhoWouldGetAnEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, r := opsNode(t, named("asked"))
		none := start(t, named("no-target"), handlers("user:other=http://127.0.0.1:1/"))
		unlinked := start(t, named("unlinked"), func(o *config.Options) { o.PeerLinks = false })
		join(t, n.node, none, unlinked)
		want := map[string]api.NodeState{"asked": api.NodeAnswered, "no-target": api.NodeAnswered, "unlinked": api.NodeUnknown}
		var report api.RecipientsReport
		testkit.WaitFor(t, "the answers", func() bool {
			report = api.RecipientsReport{}
			if status, text := r.ask(t, "GET", "/v1/recipients?name=e", "", &report); status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
			states := map[string]api.NodeState{}
			for _, of := range report.Nodes {
				states[of.Node] = of.State
			}
			return maps.Equal(states, want)
		})
		if report.Complete || len(report.Nodes[0].Targets) != 1 || len(report.Nodes[1].Targets) != 0 {
			t.Errorf("%+v", report)
		}
		unlinked.crash(t)
		testkit.WaitFor(t, "the crash to be noticed", func() bool { return n.countMembers("failed") == 1 })
		if r.ask(t, "GET", "/v1/recipients?name=other", "", &report); report.Complete || report.Nodes[2].State != api.NodeFailed || len(report.Nodes[1].Targets) != 1 {
			t.Errorf("with one that is down: %+v", report)
		}
		for _, query := range []string{"", "?name=", "?name=a&name=b", "?name=a&wait=1s", "?name=a;b"} {
			if status, _ := r.ask(t, "GET", "/v1/recipients"+query, "", nil); status != http.StatusBadRequest {
				t.Errorf("%q is answered %d", query, status)
			}
		}
		if got := len(n.gw.Posts()); got != 0 {
			t.Errorf("%d events came", got)
		}
	})
}

// How each member of a cluster is, by what it says over links, or why it says nothing.
func TestHowAllMembersAre(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, r := opsNode(t, named("asked"))
		down := startWithGateway(t, named("gateway-down"))
		unlinked := start(t, named("unlinked"), func(o *config.Options) { o.PeerLinks = false })
		gone := start(t, named("gone"))
		join(t, n.node, down.node, unlinked, gone)
		r.awaitCluster(t, map[string]string{
			"asked": "answered", "gateway-down": "answered", "unlinked": "stock", "gone": "answered",
		})
		down.gw.Down.Store(true)
		r.publishFor(t, "one")
		gone.crash(t)
		want := map[string]string{
			"asked": "answered", "gateway-down": "answered, retrying: answered 503 Service Unavailable", "unlinked": "stock",
			"gone": "failed, serf takes it for failed",
		}
		r.awaitCluster(t, want) // while somebody hangs, what others said may be a second old
		for _, m := range r.awaitCluster(t, want).Members {
			if m.Says != nil && (m.Says.Members["alive"] != 3 || m.Says.Links == 0 || m.Says.Version == "" || len(m.Says.Targets) != 1) {
				t.Errorf("%s: %+v", m.Node, m.Says)
			}
		}
	})
}

// awaitCluster asks until this is said of the members: what came of asking each, and the
// first thing that is not well.
func (r *opsRig) awaitCluster(t *testing.T, want map[string]string) (report api.ClusterReport) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the cluster was: %+v", report)
		}
	}()
	testkit.WaitFor(t, fmt.Sprintf("the cluster to be %v", want), func() bool {
		report = api.ClusterReport{}
		if status, text := r.ask(t, "GET", "/v1/cluster", "", &report); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		got := map[string]string{}
		for _, m := range report.Members {
			got[m.Node] = string(m.Answer)
			if len(m.Problems) > 0 {
				got[m.Node] += ", " + m.Problems[0].Text
			}
		}
		return maps.Equal(got, want)
	})
	return report
}
