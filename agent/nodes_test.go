package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/agent/link"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

// publishFor publishes an event over HTTP and returns its ID.
func (r *apiRig) publishFor(t *testing.T, payload string) string {
	t.Helper()
	var sent api.PublishReport
	if status, text := r.ask(t, "POST", "/v1/events?name=e", payload, &sent, "Content-Type", "application/octet-stream"); status != http.StatusAccepted {
		t.Fatalf("publishing %q: %d %s", payload, status, text)
	}
	return sent.ID
}

// nodes asks what became of an event everywhere.
func (r *apiRig) nodes(t *testing.T, id, wait string) (report api.NodesReport, states map[string]api.NodeState) {
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
func (r *apiRig) awaitNodes(t *testing.T, id string, want map[string]api.NodeState) (report api.NodesReport) {
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
	t.Parallel()
	n, r := opsNode(t, named("asked"))
	down := startWithGateway(t, named("gateway-down"))
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such thing", http.StatusBadRequest)
	}))
	t.Cleanup(refusing.Close)
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
	down.gw.down.Store(true)
	id := r.publishFor(t, "two")
	want["gateway-down"] = api.NodeWaiting
	if report := r.awaitNodes(t, id, want); report.Applied || !report.Open {
		t.Errorf("a gateway is down: %+v", report)
	}
	// It is asked again until it is well.
	done := make(chan api.NodesReport, 1)
	go func() { done <- n.nodes.gather(t.Context(), id, testkit.Patience) }()
	down.gw.down.Store(false)
	if report := <-done; !report.Applied {
		t.Errorf("the gateway is well again: %+v", report)
	}
	want["gateway-down"] = api.NodeApplied

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
}

func TestNodesRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	n, r := opsNode(t)
	for path, want := range map[string]string{
		"/v1/events/1-a/nodes?wait=soon":  `400 wait: "soon" is not a duration from 0s to 20s`,
		"/v1/events/1-a/nodes?wait=21s":   `400 wait: "21s" is not a duration from 0s to 20s`,
		"/v1/events/1-a/nodes?wait=-1s":   `400 wait: "-1s" is not`,
		"/v1/events/1-a/nodes?waits=1s":   `400 unknown parameter "waits"`,
		"/v1/events/m-1234-1/nodes":       "400 m-1234-1 is a member event",
		"/v1/events/1-a/nodes?wait=1s;&b": "400 the query cannot be read",
	} {
		if status, text := r.ask(t, "GET", path, "", nil); !strings.HasPrefix(fmt.Sprint(status, " ", text), want) {
			t.Errorf("%s: %d %s, want %s", path, status, text, want)
		}
	}
	for range api.MaxWaiting {
		n.nodes.slots <- struct{}{}
	}
	if status, text := r.ask(t, "GET", "/v1/events/1-a/nodes", "", nil); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d %s", status, text)
	}
	_, unlinked := opsNode(t, func(o *config.Options) { o.PeerLinks = false })
	if status, text := unlinked.ask(t, "GET", "/v1/events/1-a/nodes", "", nil); status != http.StatusConflict || !strings.Contains(text, "-peer-links") {
		t.Errorf("without links: %d %s", status, text)
	}
}

func TestNodeStates(t *testing.T) {
	t.Parallel()
	for want, states := range map[api.NodeState][]string{
		api.NodeApplied: {"", "delivered", "flushed", "delivered flushed"},
		api.NodeWaiting: {"waiting", "delivered waiting", "buried waiting", "waiting lost"},
		api.NodeRefused: {"buried", "delivered buried", "buried lost", "lost buried"},
		api.NodeLost:    {"lost", "lost delivered", "outdated", "of a later version"},
	} {
		for _, text := range states {
			a := nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{}}
			for i, s := range strings.Fields(text) {
				a.Targets[fmt.Sprint(i)] = api.OutcomeReport{State: api.OutcomeState(s)}
			}
			if text == "of a later version" {
				a.Targets = map[string]api.OutcomeReport{"t": {State: "of a later version"}}
			}
			var r api.NodeReport
			if judge(&r, a); r.State != want {
				t.Errorf("%q is %s, want %s", text, r.State, want)
			}
		}
	}
	r := api.NodeReport{}
	if judge(&r, nodeAnswer{}); r.State != api.NodeAbsent {
		t.Errorf("what a node does not have is %s", r.State)
	}
}

// fakePeers takes all members for peers but those whose names begin with stock.
type fakePeers struct {
	asked  map[string]time.Time
	asking []string
}

func (p *fakePeers) look(names []string) {
	for _, name := range names {
		if p.asked[name].IsZero() {
			p.asked[name] = time.Now()
			p.asking = append(p.asking, name)
		}
	}
}

func (p *fakePeers) knows(name string) bool { return !strings.HasPrefix(name, "stock") }

func (p *fakePeers) mayAnswer(name string, now time.Time) bool {
	return now.Sub(p.asked[name]) < peerSilence
}

func (p *fakePeers) again(name string) bool {
	times := len(slices.DeleteFunc(slices.Clone(p.asking), func(n string) bool { return n != name }))
	if p.knows(name) || times > 1 {
		return false
	}
	delete(p.asked, name)
	p.look([]string{name})
	return true
}

// fakeNodes asks members that answer as they are told to.
func fakeNodes(members func() []serf.Member, ask func(name string) (nodeAnswer, error)) *nodeAsker {
	return &nodeAsker{
		self: "self", members: members, peers: &fakePeers{asked: map[string]time.Time{}},
		ask: func(_ context.Context, m serf.Member, req []byte) ([]byte, error) {
			if string(req) != "\x01id" {
				return nil, fmt.Errorf("asked %q", req)
			}
			a, err := ask(m.Name)
			if err != nil {
				return nil, err
			}
			return json.Marshal(a)
		},
		outcomes: func(string) nodeAnswer { return nodeAnswer{Known: true} },
	}
}

// Who has answered for good is not asked again; who has not is, ever less often;
// who leaves meanwhile is left out.
func TestNodesAreAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		asked := map[string][]time.Duration{}
		waiting := nodeAnswer{true, map[string]api.OutcomeReport{"t": {State: api.OutcomeWaiting}}}
		members := []serf.Member{member("self", "10.0.0.1:1", serf.StatusAlive), member("gone", "10.0.0.2:1", serf.StatusLeft)}
		answers := map[string]func() (nodeAnswer, error){
			"quick": func() (nodeAnswer, error) { return nodeAnswer{Known: true}, nil },
			"slow": func() (nodeAnswer, error) {
				if time.Since(began) < 3*time.Second {
					return waiting, nil
				}
				return nodeAnswer{Known: true}, nil
			},
			"broken": func() (nodeAnswer, error) {
				if time.Since(began) < time.Second {
					return nodeAnswer{}, errors.New("the link broke")
				}
				return nodeAnswer{Known: true}, nil
			},
			"leaver": func() (nodeAnswer, error) {
				members = slices.DeleteFunc(slices.Clone(members), func(m serf.Member) bool { return m.Name == "leaver" })
				return waiting, nil
			},
			"old": func() (nodeAnswer, error) { return nodeAnswer{}, fmt.Errorf("link: %w", link.ErrUnknownKind) },
		}
		for name := range answers {
			members = append(members, member(name, "10.0.0.3:1", serf.StatusAlive))
		}
		members = append(members, member("stock", "10.0.0.4:1", serf.StatusAlive))
		asks := make(chan func())
		defer close(asks)
		go func() { // one at a time: the maps are not for several
			for f := range asks {
				f()
			}
		}()
		n := fakeNodes(func() []serf.Member { return members }, func(name string) (a nodeAnswer, err error) {
			done := make(chan struct{})
			asks <- func() {
				asked[name] = append(asked[name], time.Since(began))
				a, err = answers[name]()
				close(done)
			}
			<-done
			return a, err
		})
		report := n.gather(t.Context(), "id", time.Minute)
		// The stock member has had its two times two seconds by then.
		if took := time.Since(began); took < 2*peerSilence || took > 2*peerSilence+2*nodesPause.Max {
			t.Errorf("it took %v", took)
		}
		states := map[string]api.NodeState{}
		for _, of := range report.Nodes {
			states[of.Node] = of.State
		}
		if diff := cmp.Diff(map[string]api.NodeState{
			"self": api.NodeApplied, "quick": api.NodeApplied, "slow": api.NodeApplied, "broken": api.NodeApplied, "old": api.NodeUnknown, "stock": api.NodeUnknown,
		}, states); diff != "" || report.Applied || report.Open {
			t.Errorf("(-want +got):\n%s%+v", diff, report)
		}
		if len(asked["quick"]) != 1 || len(asked["old"]) != 1 || len(asked["leaver"]) != 1 || len(asked["stock"]) != 0 ||
			!slices.Equal(slices.DeleteFunc(n.peers.(*fakePeers).asking, func(name string) bool { return name != "stock" }), []string{"stock", "stock"}) {
			t.Errorf("asked again: %v", asked)
		}
		if n := len(asked["slow"]); n < 12 || n > 22 {
			t.Errorf("asked %d times in three seconds: %v", n, asked["slow"])
		}
	})
}

// A node that is about to leave says what waits here all the same, and a hung
// member does not hold up the answer.
func TestNodesOfALeaverAndOfAHungMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		members := []serf.Member{member("self", "10.0.0.1:1", serf.StatusLeaving), member("hung", "10.0.0.2:1", serf.StatusAlive)}
		n := fakeNodes(func() []serf.Member { return members }, nil)
		n.ask = func(ctx context.Context, _ serf.Member, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		n.outcomes = func(string) nodeAnswer {
			return nodeAnswer{true, map[string]api.OutcomeReport{"t": {State: api.OutcomeWaiting}}}
		}
		report := n.gather(t.Context(), "id", 5*time.Second)
		if len(report.Nodes) != 2 || report.Applied || report.Nodes[0].State != api.NodeUnasked || report.Nodes[1].State != api.NodeWaiting {
			t.Errorf("%+v", report)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if r := n.gather(t.Context(), "id", 0); len(r.Nodes) != 2 || r.Applied {
			t.Errorf("one look: %+v", r)
		}
		n.ask = func(context.Context, serf.Member, []byte) ([]byte, error) { return make([]byte, nodesAnswer+1), nil }
		if r := n.gather(t.Context(), "id", 0); r.Nodes[0].State != api.NodeUnasked || !strings.Contains(r.Nodes[0].Error, "65537 bytes") {
			t.Errorf("an answer that is too long: %+v", r.Nodes[0])
		}
		members = nil
		if r := n.gather(t.Context(), "id", 0); r.Applied {
			t.Errorf("nobody has applied it: %+v", r)
		}
	})
}

// Who was asked once is asked again at once, and then not for a while.
func TestAMemberIsAskedASecondTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "a")
		p.look([]string{"a"})
		synctest.Wait()
		time.Sleep(peerSilence)
		if p.mayAnswer("a", time.Now()) {
			t.Error("it may answer still")
		}
		if !p.again("a") {
			t.Error("it is not asked a second time")
		}
		if got := asked(); len(got) != 2 || !p.mayAnswer("a", time.Now()) {
			t.Errorf("asked %v", got)
		}
		time.Sleep(peerSilence)
		if p.again("a") || p.mayAnswer("a", time.Now()) {
			t.Error("it is asked a third time")
		}
		time.Sleep(peerAgain)
		if !p.again("a") {
			t.Error("it is not asked after a while")
		}
		p.set("a", true)
		if p.again("a") || p.again("nobody") {
			t.Error("a peer, or one that was never asked, is asked again")
		}
	})
}

// An event that a target lost counts as flushed once the target was: by a request
// of its own, or by the last event once more, when that has arrived. That somebody
// said the gateway is fresh is no flush.
func TestWhatIsLostIsFlushed(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	gw.down.Store(true)
	gateway := func(name string, flush *target.FlushRequest) target.Target {
		return target.Target{Name: name, URL: gw.URL, Filters: []handler.Filter{{Type: handler.User}}, Flush: flush}
	}
	r := newAPIRig(t, journal.Config{MaxPending: 2}, gateway("flushed", &target.FlushRequest{Body: "all"}),
		gateway("last", &target.FlushRequest{LastEvent: true}), gateway("accepted", nil))
	h := newHistory(r.agent.journal, r.agent.servedOutlets)
	var events []handler.Event
	for i := range 5 {
		events = append(events, handler.NewUser(uint64(i+1), "e", []byte(fmt.Sprint(i)), time.Now()))
	}
	r.append(t, events...)
	states := func() map[string]string {
		got := map[string]string{}
		for name, o := range h.outcomes(events[0].ID).Targets {
			got[name] = string(o.State)
		}
		return got
	}
	lost := map[string]string{"flushed": "lost", "last": "lost", "accepted": "lost"}
	testkit.WaitFor(t, "the first event to be lost", func() bool { return maps.Equal(states(), lost) })
	if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"accepted","accept_gap":true}`, new(api.ReplayReport)); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if got := states(); !maps.Equal(got, lost) {
		t.Errorf("with the gateway down: %v", got)
	}
	gw.down.Store(false)
	testkit.WaitFor(t, "the flushes", func() bool {
		return maps.Equal(states(), map[string]string{"flushed": "flushed", "last": "flushed", "accepted": "lost"})
	})
}
