package agent

import (
	"cmp"
	"io"
	"log"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/logs"
	"agentctl/scripts/testkit/memory"
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

// newOn is New on the test's network. As on a real one, members know the agent by the
// address that it advertises.
func newOn(t *testing.T, c *config.Config, hub *logs.Hub, hooks Hooks) (*Agent, error) {
	t.Helper()
	n := memory.Network(t)
	ports := Ports{Gossip: n.Add(cmp.Or(c.Advertise, c.Bind)), RPC: n.Listen(memory.Addr()), Dial: n.Dial}
	if c.HTTPAddr != config.Off {
		ports.HTTP = n.Listen(memory.Addr())
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

// bareSerf is a serf node without an agent.
func bareSerf(t *testing.T, name string) *serf.Serf {
	t.Helper()
	o := options(func(o *config.Options) { o.NodeName, o.UserEventSizeLimit = name, serf.UserEventSizeLimit })
	conf, err := gossip.Configure(compiled(t, o), log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	conf.MemberlistConfig.Transport = memory.Network(t).Add(o.Bind)
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown() })
	return s
}
