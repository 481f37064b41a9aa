package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// cluster is nodes that ask each other over links that take a millisecond each way.
type cluster struct {
	nodes   []*node
	byName  map[string]*node
	members []serf.Member
	stock   map[string]bool
	oneWay  time.Duration // of links
}

type node struct {
	*Fleet
	status api.StatusReport
	// handle answers in place of the node, if it is set.
	handle func(ctx context.Context, from link.Peer, req []byte) ([]byte, error)

	asked atomic.Int64 // requests to it
	bytes atomic.Int64 // of requests that it sent, and of answers to these
}

func newCluster(n int) *cluster {
	c := &cluster{byName: map[string]*node{}, stock: map[string]bool{}, oneWay: time.Millisecond}
	for i := range n {
		name := fmt.Sprintf("gateway-%05d", i)
		ip := net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))
		c.members = append(c.members, serf.Member{Name: name, Addr: ip, Port: 7946, Status: serf.StatusAlive, DelegateMax: 5})
		n := &node{status: api.StatusReport{
			Node: name, Version: "1.2.3", State: "alive", Joined: true, Members: map[string]int{"alive": n}, Links: min(n-1, 24),
			Targets: []api.TargetReport{{Target: "kong", State: api.TargetOK, Delivered: uint64(i), LastDelivered: time.Now(), Latency: api.Quantiles{P99: 0.0025, Count: 9}}},
		}}
		n.Fleet = New(Config{
			Self: name, Members: func() []serf.Member { return c.members }, Living: func() []serf.Member { return nil }, Peers: c,
			Status: func() api.StatusReport { return n.status },
			Ask: func(ctx context.Context, m serf.Member, req []byte) ([]byte, error) {
				return c.ask(ctx, n, link.Peer{Name: name, Addr: ip.String() + ":1"}, c.byName[m.Name], req)
			},
		})
		c.nodes, c.byName[name] = append(c.nodes, n), n
	}
	return c
}

func (c *cluster) Look([]string)                    {}
func (c *cluster) Knows(name string) bool           { return !c.stock[name] }
func (c *cluster) MayAnswer(string, time.Time) bool { return false }

func (c *cluster) ask(ctx context.Context, from *node, peer link.Peer, to *node, req []byte) (resp []byte, err error) {
	from.bytes.Add(int64(len(req)))
	to.asked.Add(1)
	handle := to.Answer
	if to.handle != nil {
		handle = to.handle
	}
	time.Sleep(c.oneWay)
	if resp, err = handle(ctx, peer, req); ctx.Err() != nil {
		return nil, fmt.Errorf("link: asking: %w", ctx.Err())
	}
	time.Sleep(c.oneWay)
	from.bytes.Add(int64(len(resp)))
	return resp, err
}

// silent hangs, as a stopped process does.
func silent(ctx context.Context, _ link.Peer, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func former(context.Context, link.Peer, []byte) ([]byte, error) {
	return nil, fmt.Errorf("asking: %w", link.ErrUnknownKind)
}

func refused(context.Context, link.Peer, []byte) ([]byte, error) {
	return nil, errors.New("connection refused")
}

// row is what a report says of a member.
func row(t *testing.T, r *api.ClusterReport, name string) api.MemberReport {
	t.Helper()
	for _, m := range r.Members {
		if m.Node == name {
			return m
		}
	}
	t.Fatalf("%s is not in the report", name)
	return api.MemberReport{}
}
