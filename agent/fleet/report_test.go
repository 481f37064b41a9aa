package fleet

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
)

// Of a cluster in which much is wrong, each member is named rightly, by the node alone and
// by delegates.
func TestEachMemberIsNamedRightly(t *testing.T) {
	t.Parallel()
	for _, n := range []int{12, 200} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(n)
			c.nodes[1].status.Targets[0].State = api.TargetRetrying
			c.nodes[1].status.Targets[0].LastError = "answered 500"
			c.nodes[2].handle = silent
			c.nodes[3].handle = former
			c.nodes[4].handle = refused
			c.stock[c.members[5].Name] = true
			c.members[6].Status = serf.StatusFailed
			c.members[7].Status = serf.StatusLeft
			c.nodes[8].status.Members = map[string]int{"alive": 3}
			for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11} {
				c.nodes[i].status.Members["alive"] = n
			}
			c.nodes[0].status.Trees = &api.TreesReport{Served: []api.ServedReport{{Member: c.members[5].Name, By: []string{"gateway-00009"}}}}
			began := time.Now()
			r := c.nodes[0].Report(t.Context())
			if took := time.Since(began); took > patience+freshTime {
				t.Errorf("of %d: it took %v", n, took)
			}
			for i, want := range []struct {
				answer  api.AnswerState
				problem string
			}{
				{api.AnswerGiven, ""},
				{api.AnswerGiven, "retrying: answered 500"},
				{api.AnswerNone, "it was asked how it is: no answer within 2"},
				{api.AnswerFormer, ""},
				{api.AnswerNone, "it was asked how it is: connection refused"},
				{api.AnswerStock, ""},
				{api.AnswerFailed, "serf takes it for failed"},
				{api.AnswerLeft, ""},
				{api.AnswerGiven, "it counts 3 alive members, and gateway-00000 counts "},
				{api.AnswerGiven, ""},
			} {
				m := row(t, &r, c.members[i].Name)
				problem := ""
				if len(m.Problems) > 0 {
					problem = m.Problems[0].Text
				}
				if m.Answer != want.answer || len(problem) < len(want.problem) || problem[:len(want.problem)] != want.problem || (problem == "") != (want.problem == "") {
					t.Errorf("of %d, %s: %q %q, want %q %q", n, m.Node, m.Answer, problem, want.answer, want.problem)
				}
				if (m.Says != nil) != (want.answer == api.AnswerGiven) {
					t.Errorf("of %d, %s: %+v", n, m.Node, m.Says)
				}
			}
			if got := [5]int{r.Well, r.NotWell, r.Stock, r.Former, r.Left}; got != [5]int{n - 8, 5, 1, 1, 1} {
				t.Errorf("of %d: the summary is %v", n, got)
			}
			if by := row(t, &r, c.members[5].Name).ServedBy; !slices.Equal(by, []string{"gateway-00009"}) {
				t.Errorf("the stock member is served by %q", by)
			}
			c.nodes[0].status.Trees = &api.TreesReport{}
			alone := c.nodes[0].Report(t.Context())
			if !row(t, &alone, c.members[5].Name).ByGossip || row(t, &r, c.members[5].Name).ByGossip {
				t.Error("it is not told that gossip alone serves the stock member, or always")
			}
			of := row(t, &r, c.members[9].Name).Says
			if of.Version != "1.2.3" || of.Links == 0 || len(of.Targets) != 1 || of.Targets[0].Delivered != 9 || of.Targets[0].P99 != 0.0025 {
				t.Errorf("%+v", of)
			}
		})
	}
}

// A node that nobody knows yet is named as that, once it is not waited for any more.
func TestAMemberThatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(3)
		f := *c.nodes[0].Fleet
		f.cfg.Peers = unsure{c}
		c.stock[c.members[2].Name] = true
		r := f.Report(t.Context())
		if m := row(t, &r, c.members[2].Name); m.Answer != api.AnswerNone || m.Error != "it has not said yet whether it is an agent" || r.NotWell != 1 {
			t.Errorf("%+v", m)
		}
	})
}

// unsure never knows whether a member that is silent is no agent.
type unsure struct{ *cluster }

func (unsure) MayAnswer(string, time.Time) bool { return true }

// While the node waits for a member that hangs, another one gets worse. The report says so.
func TestNoAnswerIsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(3)
		c.nodes[1].handle = silent
		began := time.Now()
		c.nodes[2].cfg.Status = func() api.StatusReport {
			s := c.nodes[2].status
			if time.Since(began) > time.Second {
				s.Targets = []api.TargetReport{{Target: "kong", State: api.TargetStale}}
			}
			return s
		}
		r := c.nodes[0].Report(t.Context())
		if m := row(t, &r, c.members[2].Name); m.Answer != api.AnswerGiven || m.Says.Targets[0].State != api.TargetStale || r.Well != 1 {
			t.Errorf("%+v", m)
		}
	})
}

// Three hundred nodes are asked within a second, at a cost that the log tells.
func TestThreeHundredNodes(t *testing.T) {
	t.Parallel()
	for oneWay, most := range map[time.Duration]time.Duration{time.Millisecond: 100 * time.Millisecond, 75 * time.Millisecond: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(300)
			c.oneWay = oneWay
			began := time.Now()
			r := c.nodes[0].Report(t.Context())
			took := time.Since(began)
			time.Sleep(time.Second) // what nobody waits for comes in
			var asked, all int64
			for _, n := range c.nodes {
				asked = max(asked, n.asked.Load())
				all += n.bytes.Load()
			}
			data, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v over links of %v each way; %d bytes at the asker, %d at all nodes; a node was asked %d times at most; the report has %d bytes",
				took, oneWay, c.nodes[0].bytes.Load(), all, asked, len(data))
			if took > most || r.Well != 300 || c.nodes[0].bytes.Load() > 200<<10 || asked > 64 {
				t.Errorf("%v, %d well", took, r.Well)
			}
		})
	}
}

// A delegate that lies makes nobody well.
func TestALiarMakesNobodyWell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(200)
		for _, n := range c.nodes {
			n.status.Targets[0].State = api.TargetStale
		}
		honest := c.nodes[1].Fleet
		well := *honest
		well.cfg.Status = func() api.StatusReport {
			s := c.nodes[1].status
			s.Targets = []api.TargetReport{{Target: "kong", State: api.TargetOK}}
			return s
		}
		var lies atomic.Pointer[node] // the first that is asked to ask others
		for _, n := range c.nodes[1:] {
			n.handle = func(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
				if req[0] == ownVersion || !lies.CompareAndSwap(nil, n) && lies.Load() != n {
					return n.Answer(ctx, from, req)
				}
				liar := *n.Fleet
				liar.cfg.Ask = func(context.Context, serf.Member, []byte) ([]byte, error) {
					return well.Answer(ctx, from, []byte{ownVersion})
				}
				return New(liar.cfg).Answer(ctx, from, req)
			}
		}
		r := c.nodes[0].Report(t.Context())
		if lies.Load() == nil || r.Well > 0 || r.NotWell != 200 {
			t.Errorf("%d members are well, %d are not", r.Well, r.NotWell)
		}
	})
}

// A node that has failed for serf and has a link is asked, and says nothing.
func TestAFailedNodeThatSaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(2)
		c.members[1].Status = serf.StatusFailed
		c.nodes[1].handle = silent
		c.nodes[0].cfg.Living = func() []serf.Member { return c.members[1:] }
		r := c.nodes[0].Report(t.Context())
		if m := r.Members[1]; m.Answer != api.AnswerFailed || m.Error == "" || len(m.Problems) != 1 || m.Problems[0].Text != "serf takes it for failed" {
			t.Errorf("%+v", m)
		}
	})
}

// A node that has left for serf and lives is asked, and what it says is told.
func TestNodesThatLiveAreAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(4)
		c.members[1].Status = serf.StatusLeft
		c.members[2].Status = serf.StatusFailed
		living := slices.Clone(c.members[1:])
		c.members = c.members[:3] // the last one is forgotten
		c.nodes[0].status.Members["alive"] = 4
		c.nodes[0].cfg.Living = func() []serf.Member { return living }
		r := c.nodes[0].Report(t.Context())
		for i, want := range []string{"", "it is no member, or has left, and still runs", "serf takes it for failed, and it has answered", "it is no member, or has left, and still runs"} {
			m := r.Members[i]
			if m.Answer != api.AnswerGiven || (len(m.Problems) == 0) != (want == "") || want != "" && m.Problems[0].Text != want {
				t.Errorf("%+v", m)
			}
		}
	})
}
