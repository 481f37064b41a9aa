package membership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/serfnode"
)

const (
	// rejoinEvery is the longest time between rounds of a rejoiner in tests.
	rejoinEvery = 30 * time.Second
	// forgets is after how long serf forgets a failed member, in tests.
	forgets = 2 * time.Minute
)

// rejoinNode is a Rejoiner whose rounds the test begins, and what it did.
type rejoinNode struct {
	*Rejoiner
	node    *serfnode.Node // nil where members is the test's
	log     *testkit.LogBuffer
	reg     *prometheus.Registry
	dns     map[string][]string // addresses of names, without the port
	lookups int
	joins   []string
}

func newRejoinNode(name string, names ...string) *rejoinNode {
	logger, log := testkit.NewLog()
	n := &rejoinNode{log: log, reg: prometheus.NewRegistry(), dns: map[string][]string{}}
	joiner := NewJoiner(JoinerConfig{Retry: names, Interval: rejoinEvery, Logger: logger})
	close(joiner.tried)
	n.Rejoiner = NewRejoiner(RejoinerConfig{
		Joiner: joiner, Self: member(name, "127.0.0.1:99", serf.StatusAlive), Port: 1, ReconnectTimeout: forgets,
		Mend: func() error { return nil }, Found: func() {}, Logger: logger, Metrics: n.reg,
	})
	n.srv = fakeDNS{}
	n.join = nil // the test's
	n.lookup = func(_ context.Context, host string) (ips []netip.Addr, err error) {
		n.lookups++
		if n.dns[host] == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		for _, ip := range n.dns[host] {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		return ips, nil
	}
	return n
}

func member(name, addr string, status serf.MemberStatus) serf.Member {
	return serfnode.Member(name, addr, status)
}

// rounds passes time.
func rounds(t *testing.T, d time.Duration, nodes ...*rejoinNode) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(rejoinEvery)
		for _, n := range nodes {
			n.round(t.Context())
		}
	}
}

// rejoinCluster is serf nodes in memory, each with a rejoiner.
type rejoinCluster struct {
	net   *memnet.Network
	nodes []*rejoinNode
}

func newRejoinCluster(t *testing.T, size int) *rejoinCluster {
	// After they have ended: probes that are under way.
	t.Cleanup(func() { time.Sleep(time.Minute) })
	c := &rejoinCluster{net: memnet.New(memnet.Config{})}
	for i := range size {
		n := c.start(t, fmt.Sprint("n", i), i)
		if _, err := n.node.Join([]string{c.nodes[0].node.Addr}, false); err != nil {
			t.Fatal(err)
		}
	}
	rounds(t, time.Minute, c.nodes...)
	for _, n := range c.nodes {
		n.joins = nil
		if lost := n.lostNow(); n.alives() != size || lost != 0 {
			t.Fatalf("%s knows %d members, and %d are lost", n.self.Name, n.alives(), lost)
		}
	}
	return c
}

// start makes a node at the address of a number, where another one may have ended.
func (c *rejoinCluster) start(t *testing.T, name string, at int) *rejoinNode {
	n, tr := newRejoinNode(name), c.net.Add(fmt.Sprintf("10.0.0.%d:7946", at+1))
	n.node = serfnode.New(t, tr, name, func(conf *serf.Config) { conf.ReconnectTimeout = forgets })
	n.self, n.members, n.ping = n.node.LocalMember(), n.node.Members, n.node.Memberlist().Ping
	n.join = func(addrs []string) (int, error) {
		n.joins = append(n.joins, addrs...)
		return n.node.Join(addrs, false)
	}
	c.nodes = append(c.nodes, n)
	return n
}

// lostNow is how many members were lost at the last look.
func (n *rejoinNode) lostNow() int { return len(n.known.lost()) }

// alives is how many members alive a node knows.
func (n *rejoinNode) alives() (count int) {
	for _, m := range n.members() {
		if m.Status == serf.StatusAlive {
			count++
		}
	}
	return count
}

// A cluster that was cut in two for longer than serf remembers failed members is
// one again soon after the cut is healed, though nobody names anybody.
func TestALongCutHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRejoinCluster(t, 4)
		c.net.Part(c.nodes[0].node.Addr, c.nodes[1].node.Addr)
		rounds(t, 2*forgets, c.nodes...)
		for _, n := range c.nodes {
			if listed, lost := len(n.members()), n.lostNow(); listed != 2 || lost != 2 || len(n.joins) > 0 {
				t.Fatalf("%s: serf lists %d members, %d are lost, dialed %v: want 2, 2 and none", n.self.Name, listed, lost, n.joins)
			}
		}
		if lost := level(t, c.nodes[0].metrics.lost); lost != 2 {
			t.Errorf("the gauge tells of %v lost members, want 2", lost)
		}
		c.net.Part()
		rounds(t, rejoinEvery, c.nodes...)
		time.Sleep(5 * time.Second) // gossip
		found, asked := 0, 0.0
		for _, n := range c.nodes {
			found += n.log.Count("level=INFO", "a lost member is joined again")
			asked += testkit.Counter(t, n.reg, "agentctl_rejoins_total", "unanswered")
			n.look()
			if alive, lost := n.alives(), n.lostNow(); alive != 4 || lost != 0 {
				t.Errorf("%s knows %d members, %d are lost", n.self.Name, alive, lost)
			}
		}
		if found == 0 || asked == 0 {
			t.Errorf("joined %d members, after %v questions that nobody answered", found, asked)
		}
	})
}

// The same by a name, which by then stands for another.
func TestANameIsLookedUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRejoinCluster(t, 3)
		a := c.nodes[0]
		c.net.Part(a.node.Addr)
		rounds(t, forgets+time.Minute, c.nodes...)
		clear(a.known.byName) // as after a start without a data directory
		c.net.Part()
		host, port, _ := net.SplitHostPort(c.nodes[1].node.Addr)
		a.names = []string{"seed:" + port}
		rounds(t, 20*time.Minute, a)
		if n := a.log.Count("level=WARN", "cannot be looked up", "no such host"); n != 6 { // after 1, 2, 4, 8, 16, 32
			t.Errorf("%d lines in 40 rounds tell that the name is unknown, want 6", n)
		}
		if n := a.alives(); n != 1 {
			t.Fatalf("%d members before the name stands for one", n)
		}
		a.dns["seed"] = []string{host}
		rounds(t, rejoinEvery, a)
		time.Sleep(5 * time.Second)
		for _, n := range c.nodes {
			if n.alives() != 3 {
				t.Errorf("%s knows %d members", n.self.Name, n.alives())
			}
		}
		if a.log.Count("level=INFO", "members of which this node knew nothing are joined", "addr="+c.nodes[1].node.Addr, "members=2") != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
	})
}

// Nor is a member joined whose address another has by now, of another cluster.
func TestAnAddressThatAnotherHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRejoinCluster(t, 2)
		a, b := c.nodes[0], c.nodes[1]
		b.node.Shutdown()
		rounds(t, 2*forgets, a)
		other := c.start(t, "other", 1)
		rounds(t, 10*time.Minute, a)
		if a.lostNow() != 1 || a.alives() != 1 || other.alives() != 1 {
			t.Errorf("%d are lost; of two clusters one has %d members, the other %d", a.lostNow(), a.alives(), other.alives())
		}
	})
}

// Where all is well a round costs a lookup of each name, and not one packet.
func TestWhereAllIsWellNobodyIsDialed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newRejoinNode("n", "seed:1", "10.0.0.2:2", "n3/10.0.0.3:3", "[fe80::4]", "self:99")
		n.dns = map[string][]string{
			"seed": {"::ffff:10.0.0.1"}, "10.0.0.2": {"10.0.0.2"}, "10.0.0.3": {"10.0.0.3"}, "fe80::4": {"fe80::4"}, "self": {"127.0.0.1"},
		}
		n.members = func() []serf.Member {
			return []serf.Member{
				n.self, member("n1", "10.0.0.1:1", serf.StatusAlive), member("n2", "10.0.0.2:2", serf.StatusAlive),
				member("n3", "10.0.0.3:3", serf.StatusAlive), member("n4", "[fe80::4]:1", serf.StatusAlive),
				member("left", "10.0.0.5:5", serf.StatusLeft),
			}
		}
		// Neither ping nor join is set: a call of one would panic.
		rounds(t, time.Hour, n)
		if n.lookups != 5*120 || n.log.String() != "" {
			t.Errorf("%d lookups in 120 rounds; log:\n%s", n.lookups, n.log)
		}
	})
}

// A name that stands for a load balancer is dialed ever more seldom, and what
// cannot be joined is told ever more seldom.
func TestAnAddressOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newRejoinNode("n", "lb:7946")
		n.members = func() []serf.Member { return []serf.Member{n.self, member("n1", "10.0.0.1:1", serf.StatusAlive)} }
		var err error
		n.join = func(addrs []string) (int, error) {
			n.joins = append(n.joins, addrs...)
			return 1, err
		}
		n.dns["lb"] = []string{"10.9.9.9"}
		rounds(t, time.Hour, n)
		if len(n.joins) != 9 { // waits of 1, 2, 4, 8, then 10 minutes
			t.Errorf("dialed %v in an hour", n.joins)
		}
		n.dns["lb"] = []string{"10.9.9.8"}
		rounds(t, rejoinEvery, n)
		if last := n.joins[len(n.joins)-1]; last != "10.9.9.8:7946" || len(n.standIns) != 1 {
			t.Errorf("the last dialed is %s; %d addresses are remembered", last, len(n.standIns))
		}
		err = errors.New("refused")
		n.dns["lb"] = []string{"10.9.9.1", "10.9.9.2", "10.9.9.3", "10.9.9.4", "10.9.9.5"}
		before := len(n.joins)
		rounds(t, time.Hour, n)
		if dialed := len(n.joins) - before; dialed != 120*rejoinDials {
			t.Errorf("%d dials in 120 rounds", dialed)
		}
		if lines := n.log.Count("level=WARN", "cannot be joined", "refused"); lines != 9 {
			t.Errorf("%d lines tell of 360 failures", lines)
		}
	})
}

// Known members are written as soon as serf's list changes, also while a round waits
// for a member, and further changes together, a second later.
func TestChangesAreKeptSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, path := newRejoinNode("n"), filepath.Join(t.TempDir(), knownFile)
		n.known.path = path
		var mu sync.Mutex
		var all []serf.Member
		n.members = func() []serf.Member {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		change := func(members ...serf.Member) {
			mu.Lock()
			all = append(all, members...)
			mu.Unlock()
			n.Changed()
			synctest.Wait()
		}
		held := make(chan struct{})
		n.mend = func() error { <-held; return nil }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		time.Sleep(rejoinEvery) // a round has begun, and waits
		kept := func(want string) {
			t.Helper()
			k, err := openKnown(path, forgets)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(k.byName)), " "); got != want {
				t.Errorf("kept are %q, want %q", got, want)
			}
		}
		change(member("a", "10.0.0.1:1", serf.StatusAlive))
		kept("a")
		for i, name := range []string{"b", "c", "d"} {
			change(member(name, fmt.Sprint("10.0.0.2:", i+1), serf.StatusAlive))
		}
		kept("a")
		time.Sleep(2 * keepEvery)
		synctest.Wait()
		kept("a b c d")
		close(held)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Rounds come at random within the interval, and Run ends with its context.
func TestWhenMembersAreLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newRejoinNode("n", "nowhere")
		n.members = func() []serf.Member { return []serf.Member{n.self} }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
		if n.lookups < 121 || n.lookups > 239 {
			t.Errorf("%d lookups in an hour", n.lookups)
		}
		n.tried = make(chan struct{}) // the first join goes on: it looks names up itself
		before := n.lookups
		rounds(t, time.Hour, n)
		if n.lookups != before {
			t.Errorf("%d lookups before the first join", n.lookups-before)
		}
	})
}

// Each round mends forced leaves before it looks who is lost, and says now and then who
// does not know this node.
func TestRoundsMendForcedLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newRejoinNode("a")
		status, mended := serf.StatusLeaving, 0
		n.members = func() []serf.Member { return []serf.Member{member("b", "127.0.0.1:98", status)} }
		n.mend = func() error {
			mended++
			status = serf.StatusAlive
			return errors.New("c does not know this node")
		}
		n.round(t.Context())
		if n.known.byName["b"] == nil {
			t.Error("the member that came back is not among the known ones")
		}
		rounds(t, 2*time.Minute, n)
		if lines := n.log.Count("level=WARN", "c does not know this node"); mended < 5 || lines != 1 {
			t.Errorf("mended %d times, with %d lines, want one", mended, lines)
		}
	})
}
