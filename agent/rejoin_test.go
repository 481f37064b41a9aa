package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/agent/memnet"
	"agentctl/scripts/loopback"
	"agentctl/scripts/testkit"
)

const (
	// rejoinEvery is the longest time between rounds of a rejoiner in tests.
	rejoinEvery = 30 * time.Second
	// forgets is after how long serf forgets a failed member, in tests.
	forgets = 2 * time.Minute
)

// rejoinNode is a rejoiner whose rounds the test begins, and what it did.
type rejoinNode struct {
	*rejoiner
	serf    *serf.Serf // nil where members is the test's
	addr    string
	log     *testkit.LogBuffer
	reg     *prometheus.Registry
	dns     map[string][]string // addresses of names, without the port
	lookups int
	joins   []string
}

func newRejoinNode(name string, names ...string) *rejoinNode {
	logger, log := testkit.NewLog()
	known, _ := openRoster("", forgets)
	tried := make(chan struct{})
	close(tried)
	n := &rejoinNode{log: log, reg: prometheus.NewRegistry(), dns: map[string][]string{}}
	n.rejoiner = &rejoiner{
		names: names, tried: tried, port: 1, self: member(name, "127.0.0.1:99", serf.StatusAlive), interval: rejoinEvery,
		roster: known, srv: fakeDNS{}, found: func() {}, logger: logger, metrics: newRejoinMetrics(n.reg), standIns: map[string]*standIn{},
	}
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
	a := netip.MustParseAddrPort(addr)
	return serf.Member{Name: name, Addr: a.Addr().AsSlice(), Port: a.Port(), Status: status}
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
	net        *memnet.Network
	transports map[string]*memnet.Transport
	nodes      []*rejoinNode
}

func newRejoinCluster(t *testing.T, size int) *rejoinCluster {
	// After they have ended: probes that are under way.
	t.Cleanup(func() { time.Sleep(time.Minute) })
	c := &rejoinCluster{net: memnet.New(memnet.Config{})}
	var names []string
	for i := range size {
		names = append(names, fmt.Sprint("n", i))
	}
	c.transports = memNetOn(c.net, append(names, fmt.Sprint("n", size))...) // one to spare
	for _, name := range names {
		n := c.start(t, name, name)
		if _, err := n.serf.Join([]string{c.nodes[0].addr}, false); err != nil {
			t.Fatal(err)
		}
	}
	rounds(t, time.Minute, c.nodes...)
	for _, n := range c.nodes {
		n.joins = nil
		if lost := n.lost.Load(); n.alives() != size || lost != 0 {
			t.Fatalf("%s knows %d members, and %d are lost", n.self.Name, n.alives(), lost)
		}
	}
	return c
}

// start makes a node that has the transport of another name.
func (c *rejoinCluster) start(t *testing.T, name, transport string) *rejoinNode {
	n, tr := newRejoinNode(name), c.net.Add(c.transports[transport].Addr().String()) // the last one may have ended
	n.serf, _ = bareSerf(t, tr, name, nil, func(o *config.Options) { o.ReconnectTimeout = forgets })
	t.Cleanup(func() { n.serf.Shutdown() })
	n.addr, n.self, n.members, n.ping = tr.Addr().String(), n.serf.LocalMember(), n.serf.Members, n.serf.Memberlist().Ping
	n.join = func(addrs []string) (int, error) {
		n.joins = append(n.joins, addrs...)
		return n.serf.Join(addrs, false)
	}
	c.nodes = append(c.nodes, n)
	return n
}

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
		c.net.Part(c.nodes[0].addr, c.nodes[1].addr)
		rounds(t, 2*forgets, c.nodes...)
		for _, n := range c.nodes {
			if listed, lost := len(n.members()), n.lost.Load(); listed != 2 || lost != 2 || len(n.joins) > 0 {
				t.Fatalf("%s: serf lists %d members, %d are lost, dialed %v: want 2, 2 and none", n.self.Name, listed, lost, n.joins)
			}
		}
		c.net.Part()
		rounds(t, rejoinEvery, c.nodes...)
		time.Sleep(5 * time.Second) // gossip
		found, asked := 0, 0.0
		for _, n := range c.nodes {
			found += n.log.Count("level=INFO", "a lost member is joined again")
			asked += testkit.Counter(t, n.reg, "agentctl_rejoins_total", "unanswered")
			n.look()
			if alive, lost := n.alives(), n.lost.Load(); alive != 4 || lost != 0 {
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
		c.net.Part(a.addr)
		rounds(t, forgets+time.Minute, c.nodes...)
		clear(a.roster.seats) // as after a start without a data directory
		c.net.Part()
		host, port, _ := net.SplitHostPort(c.nodes[1].addr)
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
		if a.log.Count("level=INFO", "members of which this node knew nothing are joined", "addr="+c.nodes[1].addr, "members=2") != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
	})
}

// Nor is a member joined whose address another has by now, of another cluster.
func TestAnAddressThatAnotherHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRejoinCluster(t, 2)
		a, b := c.nodes[0], c.nodes[1]
		b.serf.Shutdown()
		rounds(t, 2*forgets, a)
		other := c.start(t, "other", "n1")
		rounds(t, 10*time.Minute, a)
		if a.lost.Load() != 1 || a.alives() != 1 || other.alives() != 1 {
			t.Errorf("%d are lost; of two clusters one has %d members, the other %d", a.lost.Load(), a.alives(), other.alives())
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

// A node that died and was made anew at another address has its name again soon
// after the others found it to have failed: by itself memberlist takes half a
// minute and more.
func TestANameAtAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRejoinCluster(t, 3)
		gone := c.nodes[2]
		gone.serf.Shutdown()
		died := time.Now()
		failed := func() bool {
			for _, m := range c.nodes[0].members() {
				if m.Name == gone.self.Name {
					return m.Status == serf.StatusFailed
				}
			}
			return false
		}
		for !failed() {
			time.Sleep(time.Second)
		}
		t.Logf("found to have failed after %v", time.Since(died))
		time.Sleep(reclaimTime)
		again := c.start(t, gone.self.Name, "n3")
		if _, err := again.serf.Join([]string{c.nodes[0].addr}, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for _, n := range []*rejoinNode{c.nodes[0], c.nodes[1], again} {
			n.look()
			if n.alives() != 3 || n.serf.State() != serf.SerfAlive || n.lost.Load() != 0 {
				t.Errorf("%s is %v, knows %d members, %d are lost", n.self.Name, n.serf.State(), n.alives(), n.lost.Load())
			}
		}
	})
}

// What was lost before a restart is looked for after it, though neither serf's
// snapshot nor a name tells of it; and the gateway gets what it missed.
func TestAMemberThatWasLostBeforeARestart(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	soon := func(o *config.Options) { o.RetryInterval = time.Second }
	opts := []func(*config.Options){in(t.TempDir()), named("restarted"), handlers("user:kong=" + gw.URL), soon}
	other := start(t, named("lost"), bind(loopback.Addr()))
	n := start(t, opts...)
	join(t, other, n)
	addr := other.GossipAddr()
	testkit.WaitFor(t, "the roster", func() bool {
		data, err := os.ReadFile(filepath.Join(n.opts.DataDir, rosterFile))
		return err == nil && strings.Contains(string(data), addr)
	})
	other.crash(t)
	testkit.WaitFor(t, "the other to have failed", func() bool { return n.countMembers("failed") == 1 })
	n.crash(t)
	n = start(t, opts...)
	// Serf's own attempt by its snapshot is over by then, if there was one.
	testkit.WaitFor(t, "it to be missed", func() bool { return testkit.Counter(t, n.registry, "agentctl_rejoins_total", "unanswered") > 0 })
	other = start(t, named("lost"), func(o *config.Options) { o.Bind = addr })
	testkit.WaitFor(t, "both to be one cluster", func() bool { return n.countMembers("alive") == 2 && other.countMembers("alive") == 2 })
	testkit.WaitFor(t, "word that it was looked for", func() bool {
		return n.log.Count("level=INFO", "a lost member is joined again", "member=lost") > 0
	})
	publish(t, other, "after")
	testkit.WaitFor(t, "the event", func() bool { return len(gw.of("user")) == 1 })
}

// A node that others found, or that found them by its snapshot, is in the cluster
// although what it was to join is gone: it is ready, compares journals, and holds no
// publishes.
func TestJoinedAlthoughNoNameCanBe(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *config.Options) {
		o.RetryJoin, o.RetryInterval = []string{loopback.Addr()}, time.Second
		o.HTTPAddr = "127.0.0.1:0"
	})
	testkit.WaitFor(t, "a join to fail", func() bool { return n.log.Count("joining failed, trying again") > 0 })
	if n.isJoined() {
		t.Error("joined, although nobody is there")
	}
	other := start(t)
	if _, err := other.Join([]string{n.GossipAddr()}, false); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "it to count as joined", n.isJoined)
	// The log writes its lines behind the agent's back.
	testkit.WaitFor(t, "word of it", func() bool { return n.log.Count("in the cluster, although none of retry-join") == 1 })
	if n.Contacted() != 0 {
		t.Errorf("contacted %d:\n%s", n.Contacted(), n.log)
	}
	testkit.WaitFor(t, "it to be ready", func() bool { status, _ := n.get(t, "/readyz"); return status == http.StatusOK })
	testkit.WaitFor(t, "a comparison", func() bool { return testkit.Counter(t, n.registry, "agentctl_repair_comparisons_total", "same") > 0 })
	failures := n.log.Count("joining failed, trying again")
	testkit.WaitFor(t, "the name to be tried on", func() bool { return n.log.Count("joining failed, trying again") > failures })
	publish(t, n, "at once")
	if n.log.Count("publishing although no node could be joined") != 0 {
		t.Error("a publish was held")
	}
}
