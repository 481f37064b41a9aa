package agent

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/logs"
	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// endTime is how long after its end an agent may still have goroutines: probes under
// way, and queries whose time has to run out.
const endTime = 10 * time.Minute

// bubble runs a test on its own clock and its own network. The clock stands still
// while a goroutine works, and while one waits for a mutex or for something outside of
// the bubble: a file, a script. So a test hangs if a goroutine holds a mutex that
// another wants, and waits for a time.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(endTime) }) // runs last
		test(t)
	})
}

// emptyPools keeps timers of one bubble from another, where they panic: yamux has a
// pool of them. It takes two collections: what the first finds in a pool, it keeps.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// networks are those of the tests that run.
var networks sync.Map // *testing.T to *memnet.Network

// network is the network in memory of a test. It delays nothing.
func network(t *testing.T) *memnet.Network { return networkOf(t, memnet.Config{}) }

// delayed has a test's network delay what is sent, so that the test comes upon events
// that are on their way. It has to be called before anything else uses the network.
func delayed(t *testing.T) { networkOf(t, memnet.Config{MaxDelay: 2 * time.Millisecond}) }

func networkOf(t *testing.T, c memnet.Config) *memnet.Network {
	n, there := networks.LoadOrStore(t, memnet.New(c))
	if !there {
		t.Cleanup(func() { networks.Delete(t) })
	}
	return n.(*memnet.Network)
}

var addrs atomic.Int64

// nobody is an address for a network in memory that nobody has.
func nobody() string {
	n := addrs.Add(1)
	return fmt.Sprintf("10.%d.%d.%d:7946", n>>14, n>>7&127, n&127+1)
}

// newOn is New on the test's network. As on a real one, members know the agent by the
// address that it advertises.
func newOn(t *testing.T, c *config.Config, hub *logs.Hub, hooks Hooks) (*Agent, error) {
	t.Helper()
	n := network(t)
	ports := Ports{Gossip: n.Add(cmp.Or(c.Advertise, c.Bind)), RPC: n.Listen(nobody()), Dial: n.Dial}
	if c.HTTPAddr != config.Off {
		ports.HTTP = n.Listen(nobody())
	}
	a, err := NewOn(ports, c, hub, hooks)
	if err != nil {
		ports.Gossip.Shutdown()
		ports.RPC.Close()
		if ports.HTTP != nil {
			ports.HTTP.Close()
		}
	}
	return a, err
}

// newGateway starts a gateway on the test's network.
func newGateway(t *testing.T) *testkit.Gateway {
	t.Helper()
	return testkit.NewGatewayOn(t, network(t).Listen(nobody()))
}

// serve starts an HTTP server on the test's network.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	return testkit.ServeOn(t, network(t).Listen(nobody()), h)
}

// client asks servers of the test's network.
func client(t *testing.T) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: network(t).Dial, DisableKeepAlives: true}}
}

// bareSerf is a serf node without an agent.
func bareSerf(t *testing.T, name string) *serf.Serf {
	t.Helper()
	o := options(func(o *config.Options) { o.NodeName, o.UserEventSizeLimit = name, serf.UserEventSizeLimit })
	conf, err := gossip.Configure(compiled(t, o), log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	conf.MemberlistConfig.Transport = network(t).Add(o.Bind)
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown() })
	return s
}
