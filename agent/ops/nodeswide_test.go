package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
	"agentctl/scripts/testkit"
)

// wide is a cluster of askers, with links that take a millisecond each way.
type wide struct {
	nodes   []*wideNode
	byName  map[string]*wideNode
	members []serf.Member
	oneWay  time.Duration // of links
}

type wideNode struct {
	*nodeAsker
	arrival time.Time // of the event
	took    time.Duration

	sent, answered, delegated atomic.Int64
	bytes                     atomic.Int64 // of requests sent and answers had

	// handle answers in place of the node, if it is set.
	handle func(ctx context.Context, from link.Peer, req []byte) ([]byte, error)
}

// knowingPeers takes all for peers.
type knowingPeers struct{}

func (knowingPeers) Look([]string)                    {}
func (knowingPeers) Knows(string) bool                { return true }
func (knowingPeers) MayAnswer(string, time.Time) bool { return false }
func (knowingPeers) Again(string) bool                { return false }

// newWide makes a cluster in which an event comes to all within 30 ms, and a POST takes
// two.
func newWide(n int) *wide {
	w := &wide{byName: map[string]*wideNode{}, oneWay: time.Millisecond}
	began := time.Now()
	for i := range n {
		name := fmt.Sprintf("gateway-%05d", i)
		ip := net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))
		w.members = append(w.members, serf.Member{Name: name, Addr: ip, Port: 7946, Status: serf.StatusAlive})
		node := &wideNode{arrival: began.Add(30 * time.Millisecond * time.Duration(i) / time.Duration(n)), took: 2 * time.Millisecond}
		others := Others{
			Peers: knowingPeers{}, Links: 200, Living: func() []serf.Member { return nil },
			Ask: func(ctx context.Context, m serf.Member, req []byte) ([]byte, error) {
				return w.ask(ctx, node, link.Peer{Name: name, Addr: ip.String() + ":1"}, w.byName[m.Name], req)
			},
		}
		node.nodeAsker = newNodeAsker(name, func() []serf.Member { return w.members }, others, node.outcome)
		node.targets = func(string) nodeAnswer { return nodeAnswer{Known: true} }
		w.nodes = append(w.nodes, node)
		w.byName[name] = node
	}
	return w
}

func (n *wideNode) outcome(string) nodeAnswer {
	now := time.Now()
	a := nodeAnswer{Known: !now.Before(n.arrival)}
	if a.Known {
		a.Targets = map[string]api.OutcomeReport{"cache": {State: api.OutcomeWaiting}}
		if end := n.arrival.Add(n.took); !now.Before(end) {
			a.Targets["cache"] = api.OutcomeReport{State: api.OutcomeDelivered, Status: 200, Time: end}
		}
	}
	return a
}

func (w *wide) ask(ctx context.Context, from *wideNode, peer link.Peer, to *wideNode, req []byte) (resp []byte, err error) {
	from.sent.Add(1)
	from.bytes.Add(int64(len(req)))
	to.answered.Add(1)
	if req[0] == delegatedVersion {
		to.delegated.Add(1)
	}
	handle := to.answer
	if to.handle != nil {
		handle = to.handle
	}
	time.Sleep(w.oneWay)
	if resp, err = handle(ctx, peer, req); ctx.Err() != nil {
		return nil, fmt.Errorf("link: asking: %w", ctx.Err())
	}
	time.Sleep(w.oneWay)
	from.bytes.Add(int64(len(resp)))
	return resp, err
}

// wantApplied checks that the report of the first node is that all have applied the event.
func (w *wide) wantApplied(t *testing.T, r api.NodesReport) {
	t.Helper()
	for _, of := range r.Nodes {
		n := w.byName[of.Node]
		if of.State != api.NodeApplied || !of.Targets["cache"].Time.Equal(n.arrival.Add(n.took)) {
			t.Errorf("%+v", of)
			break
		}
	}
	if !r.Applied || len(r.Nodes) != len(w.nodes) {
		t.Errorf("%d of %d nodes, applied %v", len(r.Nodes), len(w.nodes), r.Applied)
	}
}

// A wait for a thousand nodes takes a moment, and no node asks or answers many times.
func TestAThousandNodesAreAskedByDelegates(t *testing.T) {
	sizes := []int{50, 100, 1000}
	if testkit.Setting(t, "AGENTCTL_TEST_WIDE_NODES", 1000, 10000) > 1000 {
		sizes = append(sizes, 10000)
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWide(size)
				began := time.Now()
				w.wantApplied(t, w.nodes[0].gather(t.Context(), "id", api.MaxNodesWait))
				took := time.Since(began)
				synctest.Wait()
				var sent, answered int64
				for _, n := range w.nodes[1:] {
					sent, answered = max(sent, n.sent.Load()), max(answered, n.answered.Load())
				}
				asker := w.nodes[0]
				t.Logf("%d nodes: %v; the asker sent %d requests, %d bytes both ways; any other sent %d at most, and answered %d",
					size, took, asker.sent.Load(), asker.bytes.Load(), sent, answered)
				if took > 150*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				if size > 64 && (asker.sent.Load() > 300 || sent > 1000 || answered > 200) {
					t.Errorf("the asker sent %d, another %d, and one answered %d", asker.sent.Load(), sent, answered)
				}
			})
		})
	}
}

// Where all are far away, delegates are waited for, since everybody is slow.
func TestDelegatesThatAreFarAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWide(1000)
		w.oneWay = 75 * time.Millisecond
		began := time.Now()
		w.wantApplied(t, w.nodes[0].gather(t.Context(), "id", api.MaxNodesWait))
		took, sent := time.Since(began), w.nodes[0].sent.Load()
		t.Logf("%v, with %d requests", took, sent)
		if took > 10*w.oneWay+150*time.Millisecond || sent > 150 {
			t.Errorf("it took %v, with %d requests", took, sent)
		}
	})
}

var errOld = errors.New("link: the peer failed: a question of another version")

// old answers as agents did before delegates.
func (n *wideNode) old(_ context.Context, _ link.Peer, req []byte) ([]byte, error) {
	if req[0] != 1 {
		return nil, errOld
	}
	return json.Marshal(n.outcome(string(req[1:])))
}

// silent takes requests to ask others, and does nothing.
func (n *wideNode) silent(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
	if req[0] != delegatedVersion {
		return n.answer(ctx, from, req)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Agents of the former version answer themselves, and no more. Delegates that are stuck
// cost less than a second. If all are of the former version, all is as it was.
func TestDelegatesOfAllKinds(t *testing.T) {
	for name, change := range map[string]func(i int, n *wideNode){
		"all old": func(_ int, n *wideNode) { n.handle = n.old },
		"half old": func(i int, n *wideNode) {
			if i%2 == 0 {
				n.handle = n.old
			}
		},
		"some stuck": func(i int, n *wideNode) {
			if i%10 == 0 {
				n.handle = n.silent
			}
		},
		"all stuck": func(_ int, n *wideNode) { n.handle = n.silent },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWide(1000)
				for i, n := range w.nodes[1:] {
					change(i, n)
				}
				began := time.Now()
				w.wantApplied(t, w.nodes[0].gather(t.Context(), "id", api.MaxNodesWait))
				took := time.Since(began)
				t.Logf("%v, with %d requests", took, w.nodes[0].sent.Load())
				if took >= time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A delegate that says that others have applied the event is not believed. Those that
// have not are named.
func TestALyingDelegateMakesNobodyApply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWide(300)
		began := time.Now()
		for _, n := range w.nodes {
			n.took = time.Hour
		}
		applied, err := json.Marshal(nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{"cache": {State: api.OutcomeDelivered, Status: 200}}})
		if err != nil {
			t.Fatal(err)
		}
		var liar atomic.Pointer[wideNode] // the first delegate
		var lies atomic.Int64
		for _, n := range w.nodes[1:] {
			ask := n.Ask
			n.Ask = func(ctx context.Context, m serf.Member, req []byte) ([]byte, error) {
				if liar.Load() != n {
					return ask(ctx, m, req)
				}
				lies.Add(1)
				return applied, nil
			}
			n.handle = func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				if req[0] == delegatedVersion {
					liar.CompareAndSwap(nil, n)
				}
				return n.answer(ctx, from, req)
			}
		}
		r := w.nodes[0].gather(t.Context(), "id", 3*time.Second)
		if took := time.Since(began); took != 3*time.Second || r.Applied || !r.Open || lies.Load() == 0 {
			t.Errorf("after %v and %d lies: applied %v, open %v", took, lies.Load(), r.Applied, r.Open)
		}
		for _, of := range r.Nodes {
			if of.State != api.NodeWaiting {
				t.Errorf("%+v", of)
			}
		}
	})
}

// A node whose answer came along one path alone has not answered, and the report says why.
func TestHearsayIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWide(200)
		time.Sleep(time.Second) // all have applied it
		began := time.Now()
		for _, n := range w.nodes[1:] {
			n.handle = func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				if time.Since(began) < 4*time.Millisecond { // the first sweep
					return n.answer(ctx, from, req)
				}
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}
		r := w.nodes[0].gather(t.Context(), "id", 2*time.Second)
		count := map[string]int{}
		for _, of := range r.Nodes {
			count[fmt.Sprint(of.State, " ", of.Error)]++
		}
		if r.Applied || count["unasked "+hearsay] < 150 || count["unasked "+hearsay]+count["applied "] != 200 {
			t.Errorf("%v", count)
		}
	})
}

// A look without a wait asks each node until it has answered once, by whatever way.
func TestALookAtMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWide(300)
		time.Sleep(time.Second)
		for i, n := range w.nodes[1:] {
			switch i % 10 {
			case 0:
				n.handle = n.old
			case 1:
				n.handle = n.silent
			case 2:
				n.took = time.Hour
			}
		}
		began := time.Now()
		count := map[api.NodeState]int{}
		for _, of := range w.nodes[0].gather(t.Context(), "id", 0).Nodes {
			count[of.State]++
		}
		if took := time.Since(began); took >= time.Second || count[api.NodeApplied] != 270 || count[api.NodeWaiting] != 30 {
			t.Errorf("after %v: %v", took, count)
		}
		r, known := w.nodes[0], 0
		for _, of := range r.settle(t.Context(), time.Second, question{
			request: []byte{recipientsVersion, 'e'},
			here:    func() nodeAnswer { return r.targets("e") },
			judge:   func(r *api.NodeReport, a nodeAnswer) { r.State = api.NodeApplied },
		}) {
			if of.State == api.NodeApplied {
				known++
			}
		}
		if known != 270 { // the old ones of this test know no such question
			t.Errorf("%d have told their targets", known)
		}
	})
}

// While many gateways are down, no node asks or answers much.
func TestWaitingForManyCostsLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWide(1000)
		for i, n := range w.nodes {
			if i%3 == 0 {
				n.took = time.Hour
			}
		}
		const wait = 10 * time.Second
		r := w.nodes[0].gather(t.Context(), "id", wait)
		var sent, answered int64
		for _, n := range w.nodes[1:] {
			sent, answered = max(sent, n.sent.Load()), max(answered, n.answered.Load())
		}
		asker := w.nodes[0]
		t.Logf("a second: the asker sends %d requests, another %d at most, and answers %d",
			asker.sent.Load()/10, sent/10, answered/10)
		if r.Applied || !r.Open || asker.sent.Load() > 150*10 || sent > 150*10 || answered > 20*10 {
			t.Errorf("in %v the asker sent %d, another %d, and one answered %d", wait, asker.sent.Load(), sent, answered)
		}
	})
}

// As many waits as one client may have take less than a second, too.
func TestManyWaitsAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWide(150)
		began := time.Now()
		var all sync.WaitGroup
		for range api.MaxWaiting {
			all.Go(func() { w.wantApplied(t, w.nodes[0].gather(t.Context(), "id", api.MaxNodesWait)) })
		}
		all.Wait()
		took := time.Since(began)
		t.Logf("%d waits: %v, %d requests of the asker", api.MaxWaiting, took, w.nodes[0].sent.Load())
		if took >= time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
