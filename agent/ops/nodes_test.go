package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

func TestNodesRequestsThatAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRigWith(t, journal.Config{}, func(c *Config) {
			c.Others = &Others{Peers: &fakePeers{asked: map[string]time.Time{}}, Living: func() []serf.Member { return nil }}
		})
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
			if _, err := r.ops.nodes.enter(&http.Request{RemoteAddr: "10.255.255.255:2"}); err != nil {
				t.Fatal(err)
			}
		}
		if status, text := r.ask(t, "GET", "/v1/events/1-a/nodes", "", nil); status != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d %s", status, text)
		}
		if leave, err := r.ops.nodes.enter(&http.Request{RemoteAddr: "10.0.0.1:2"}); err != nil {
			t.Errorf("one client has taken all: %v", err)
		} else {
			leave()
		}
		unlinked := newRig(t, journal.Config{})
		if status, text := unlinked.ask(t, "GET", "/v1/events/1-a/nodes", "", nil); status != http.StatusConflict || !strings.Contains(text, "-peer-links") {
			t.Errorf("without links: %d %s", status, text)
		}
	})
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

// silence is how long a fake peer may answer.
const silence = 2 * time.Second

func member(name string, status serf.MemberStatus) serf.Member {
	return serf.Member{Name: name, Status: status}
}

// fakePeers takes all members for peers but those whose names begin with stock.
type fakePeers struct {
	asked  map[string]time.Time
	asking []string
}

func (p *fakePeers) Look(names []string) {
	for _, name := range names {
		if p.asked[name].IsZero() {
			p.asked[name] = time.Now()
			p.asking = append(p.asking, name)
		}
	}
}

func (p *fakePeers) Knows(name string) bool { return !strings.HasPrefix(name, "stock") }

func (p *fakePeers) MayAnswer(name string, now time.Time) bool {
	return now.Sub(p.asked[name]) < silence
}

func (p *fakePeers) Again(name string) bool {
	times := len(slices.DeleteFunc(slices.Clone(p.asking), func(n string) bool { return n != name }))
	if p.Knows(name) || times > 1 {
		return false
	}
	delete(p.asked, name)
	p.Look([]string{name})
	return true
}

// fakeNodes asks members that answer as they are told to.
func fakeNodes(members func() []serf.Member, ask func(name string) (nodeAnswer, error)) *nodeAsker {
	others := Others{
		Peers: &fakePeers{asked: map[string]time.Time{}},
		Ask: func(_ context.Context, m serf.Member, req []byte) ([]byte, error) {
			if string(req) != "\x01id" {
				return nil, fmt.Errorf("asked %q", req)
			}
			a, err := ask(m.Name)
			if err != nil {
				return nil, err
			}
			return json.Marshal(a)
		},
		Links:  200,
		Living: func() []serf.Member { return nil },
	}
	return newNodeAsker("self", members, others, func(string) nodeAnswer { return nodeAnswer{Known: true} })
}

// Who has answered for good is not asked again; who has not is, ever less often;
// who has applied the event and leaves meanwhile is left out.
func TestNodesAreAskedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		asked := map[string][]time.Duration{}
		waiting := nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{"t": {State: api.OutcomeWaiting}}}
		members := []serf.Member{member("self", serf.StatusAlive), member("gone", serf.StatusLeft)}
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
				return nodeAnswer{Known: true}, nil
			},
			"old": func() (nodeAnswer, error) { return nodeAnswer{}, fmt.Errorf("link: %w", link.ErrUnknownKind) },
		}
		for name := range answers {
			members = append(members, member(name, serf.StatusAlive))
		}
		members = append(members, member("stock", serf.StatusAlive))
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
		if took := time.Since(began); took < 2*silence || took > 2*silence+2*nodesPause.Max {
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
			!slices.Equal(slices.DeleteFunc(n.Peers.(*fakePeers).asking, func(name string) bool { return name != "stock" }), []string{"stock", "stock"}) {
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
	bubble(t, func(t *testing.T) {
		began := time.Now()
		members := []serf.Member{member("self", serf.StatusLeaving), member("hung", serf.StatusAlive)}
		n := fakeNodes(func() []serf.Member { return members }, nil)
		n.Ask = func(ctx context.Context, _ serf.Member, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		n.outcomes = func(string) nodeAnswer {
			return nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{"t": {State: api.OutcomeWaiting}}}
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
		n.Ask = func(context.Context, serf.Member, []byte) ([]byte, error) { return make([]byte, nodesAnswer+1), nil }
		if r := n.gather(t.Context(), "id", 0); r.Nodes[0].State != api.NodeUnasked || !strings.Contains(r.Nodes[0].Error, "65537 bytes") {
			t.Errorf("an answer that is too long: %+v", r.Nodes[0])
		}
		members = nil
		if r := n.gather(t.Context(), "id", 0); r.Applied {
			t.Errorf("nobody has applied it: %+v", r)
		}
	})
}

// An event that a target lost counts as flushed once the target was: by a request
// of its own, or by the last event once more, when that has arrived. That somebody
// said the gateway is fresh is no flush.
func TestWhatIsLostIsFlushed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		gateway := func(name string, flush *target.FlushRequest) target.Target {
			return target.Target{Name: name, URL: gw.URL, Filters: []handler.Filter{{Type: handler.User}}, Flush: flush}
		}
		r := newRig(t, journal.Config{MaxPending: 2}, gateway("flushed", &target.FlushRequest{Body: "all"}),
			gateway("last", &target.FlushRequest{LastEvent: true}), gateway("accepted", nil))
		h := newHistory(r.journal, r.ops.cfg.Targets)
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
		gw.Down.Store(false)
		testkit.WaitFor(t, "the flushes", func() bool {
			return maps.Equal(states(), map[string]string{"flushed": "flushed", "last": "flushed", "accepted": "lost"})
		})
	})
}

// A node is asked as long as it lives or has a link, whatever serf says of it; one that
// cannot be asked is named.
func TestNodesThatLiveAreAskedWhateverSerfSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		at := func(m serf.Member) serf.Member {
			m.Addr = net.IPv4(10, 0, 0, 1)
			return m
		}
		members := []serf.Member{
			member("self", serf.StatusAlive), at(member("leaving", serf.StatusLeaving)), at(member("stock-leaving", serf.StatusLeaving)),
			at(member("left", serf.StatusLeft)), at(member("gone", serf.StatusLeft)),
			at(member("linked", serf.StatusFailed)), at(member("broken", serf.StatusFailed)), at(member("down", serf.StatusFailed)),
		}
		waiting := nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{"t": {State: api.OutcomeWaiting}}}
		n := fakeNodes(func() []serf.Member { return members }, func(name string) (nodeAnswer, error) {
			switch name {
			case "stock-leaving":
				return nodeAnswer{}, fmt.Errorf("asking: %w", link.ErrNotPeer)
			case "broken":
				return nodeAnswer{}, errors.New("the link is dead")
			}
			return waiting, nil
		})
		n.Living = func() (all []serf.Member) {
			for _, name := range []string{"self", "left", "linked", "broken", "pruned"} {
				all = append(all, at(member(name, serf.StatusAlive)))
			}
			return append(all, member("nowhere", serf.StatusNone))
		}
		states := map[string]api.NodeState{}
		for _, of := range n.gather(t.Context(), "id", 0).Nodes {
			states[of.Node] = of.State
		}
		if diff := cmp.Diff(map[string]api.NodeState{
			"self": api.NodeApplied, "leaving": api.NodeWaiting, "stock-leaving": api.NodeUnknown, "left": api.NodeWaiting,
			"linked": api.NodeWaiting, "broken": api.NodeFailed, "down": api.NodeFailed, "pruned": api.NodeWaiting, "nowhere": api.NodeUnasked,
		}, states); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// An event that no target is for is not applied, and the report says so; a node that
// cannot be asked may have one.
func TestAnEventForNoTargetIsNotApplied(t *testing.T) {
	t.Parallel()
	one := map[string]api.OutcomeReport{"t": {State: api.OutcomeDelivered}}
	for name, c := range map[string]struct {
		known             []api.NodeReport
		applied, noTarget bool
	}{
		"nobody":        {nil, false, false},
		"no target":     {[]api.NodeReport{{State: api.NodeApplied}, {State: api.NodeApplied}}, false, true},
		"one has one":   {[]api.NodeReport{{State: api.NodeApplied}, {State: api.NodeApplied, Targets: one}}, true, false},
		"not all known": {[]api.NodeReport{{State: api.NodeApplied}, {State: api.NodeUnknown}}, false, false},
		"one is late":   {[]api.NodeReport{{State: api.NodeApplied}, {State: api.NodeAbsent}}, false, false},
	} {
		known := map[string]api.NodeReport{}
		for i, r := range c.known {
			known[fmt.Sprint(i)] = r
		}
		if r := newNodesReport("id", known); r.Applied != c.applied || r.NoTarget != c.noTarget {
			t.Errorf("%s: applied %v, no target %v", name, r.Applied, r.NoTarget)
		}
	}
}

// A node that leaves before it has applied the event is named, since its gateway may run
// on without it. If the node comes back, it is asked again.
func TestANodeThatLeavesWithoutTheEventIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		waiting := nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{"t": {State: api.OutcomeWaiting}}}
		back := time.Hour
		n := fakeNodes(func() []serf.Member {
			members := []serf.Member{member("self", serf.StatusAlive), member("leaver", serf.StatusAlive), member("refuser", serf.StatusAlive)}
			if since := time.Since(began); since > time.Second && since < back {
				return members[:1]
			}
			return members
		}, func(name string) (nodeAnswer, error) {
			switch {
			case name == "refuser":
				return nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{"t": {State: api.OutcomeBuried}}}, nil
			case time.Since(began) >= back:
				return nodeAnswer{Known: true}, nil
			}
			return waiting, nil
		})
		states := func() string {
			r := n.gather(t.Context(), "id", 5*time.Second)
			return fmt.Sprintf("%v %v %s %s %s", time.Since(began), r.Applied, r.Nodes[0].State, r.Nodes[0].Error, r.Nodes[1].State)
		}
		if got, want := states(), "5s false unasked "+leftFirst+" refused"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		began, back = time.Now(), 3*time.Second
		if got := states(); !strings.HasSuffix(got, "false applied  refused") || strings.HasPrefix(got, "5s") {
			t.Errorf("once it is back: %s", got)
		}
	})
}

// A member that hangs does not keep the others from being asked again: an answer of
// some milliseconds ago is not what is so now.
func TestAHungMemberHidesNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		members := []serf.Member{member("self", serf.StatusAlive), member("slow", serf.StatusAlive), member("hung", serf.StatusAlive)}
		n := fakeNodes(func() []serf.Member { return members }, nil)
		n.outcomes = func(string) nodeAnswer { return nodeAnswer{Known: time.Since(began) > 5*time.Millisecond} }
		n.Ask = func(ctx context.Context, m serf.Member, _ []byte) ([]byte, error) {
			if m.Name == "slow" {
				return json.Marshal(nodeAnswer{Known: time.Since(began) > 20*time.Millisecond})
			}
			<-ctx.Done()
			return nil, fmt.Errorf("link: asking: %w", ctx.Err())
		}
		r := n.gather(t.Context(), "id", time.Second)
		var got []string
		for _, node := range r.Nodes {
			got = append(got, node.Node+" "+string(node.State))
		}
		testkit.Want(t, "states", got, []string{"hung unasked", "self applied", "slow applied"})
	})
}

// No wait is exceeded, also where members do not answer.
func TestAWaitEndsInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := fakeNodes(func() []serf.Member {
			return []serf.Member{member("self", serf.StatusAlive), member("hung", serf.StatusAlive)}
		}, nil)
		n.Ask = func(ctx context.Context, _ serf.Member, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		for _, wait := range []time.Duration{time.Millisecond, time.Second, 2*time.Second + 1, 6 * time.Second, api.MaxNodesWait} {
			began := time.Now()
			r := n.gather(t.Context(), "id", wait)
			if took := time.Since(began); took != wait || len(r.Nodes) != 2 || r.Nodes[0].State != api.NodeUnasked {
				t.Errorf("a wait of %v took %v: %+v", wait, took, r)
			}
		}
	})
}
