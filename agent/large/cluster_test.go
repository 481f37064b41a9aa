package large_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/large"
	"agentctl/agent/logs"
	"agentctl/agent/memnet"
	"agentctl/handler"
)

// cluster is agents on a network in memory, in a bubble.
type cluster struct {
	agents []*agent.Agent
	end    func()

	mu    sync.Mutex
	began time.Time
	came  map[string]map[int][]time.Duration // by payload and agent, since began
}

// newCluster runs so many agents, which know each other as members, on a network
// with such a share of lost packets. The change is for the last of them.
func newCluster(t *testing.T, nodes int, loss float64, change func(*config.Options)) *cluster {
	c := &cluster{came: map[string]map[int][]time.Duration{}}
	hub := logs.New(logs.Config{Out: io.Discard, Level: slog.LevelError})
	ctx, cancel := context.WithCancelCause(context.Background())
	var running sync.WaitGroup
	c.end = func() {
		cancel(agent.ErrNoLeave)
		running.Wait()
		time.Sleep(time.Minute) // memberlist's probes under way, and serf's queries
		hub.Close()
	}
	network := memnet.New(memnet.Config{
		MinDelay: 200 * time.Microsecond, MaxDelay: 2 * time.Millisecond, Loss: loss, Resend: 200 * time.Millisecond,
	})
	for i := range nodes {
		o := config.DefaultOptions()
		o.NodeName, o.HTTPAddr, o.MaxEventSize = fmt.Sprint("node-", i), config.Off, large.MaxEvent
		o.EventHandlers = []string{"user:of-no-test=true"}
		if i == nodes-1 {
			change(&o)
		}
		ports := agent.Ports{Gossip: network.Add(fmt.Sprintf("10.0.0.%d:7946", i+1)), RPC: memnet.NoListener()}
		conf, err := config.Compile(config.Input{Defaults: o})
		if err != nil {
			t.Fatal(err)
		}
		a, err := agent.NewOn(ports, conf, hub, agent.Hooks{Taken: func(e handler.Event) {
			if e.Type == handler.User {
				c.note(i, e.Name+string(e.Payload))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.agents = append(c.agents, a)
		running.Go(func() {
			if err := a.Run(ctx); err != agent.ErrNoLeave {
				t.Errorf("node %d: %v", i, err)
			}
		})
	}
	for _, a := range c.agents[1:] {
		if _, err := a.Join([]string{c.agents[0].GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 600 { // by the clock of the bubble
		time.Sleep(time.Second)
		if c.complete() {
			time.Sleep(20 * time.Second) // some know by then who is a peer
			return c
		}
	}
	c.end()
	t.Fatal("the agents do not find each other")
	return nil
}

// complete tells whether all know all.
func (c *cluster) complete() bool {
	for _, a := range c.agents {
		alive := 0
		for _, m := range a.Members() {
			if m.Status == serf.StatusAlive {
				alive++
			}
		}
		if alive < len(c.agents) {
			return false
		}
	}
	return true
}

func (c *cluster) note(node int, event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.came[event] == nil {
		c.came[event] = map[int][]time.Duration{}
	}
	c.came[event][node] = append(c.came[event][node], time.Since(c.began))
}

// publish publishes at the first agent, and waits. It says when the last of so
// many had the event, and that each had it once.
func (c *cluster) publish(t *testing.T, payload string, nodes int, wait time.Duration) (last time.Duration, warning string) {
	c.mu.Lock()
	c.began = time.Now()
	c.mu.Unlock()
	sent, err := c.agents[0].PublishReport(t.Context(), "e", []byte(payload), false)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(wait)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range nodes {
		times := c.came["e"+payload][i]
		if len(times) != 1 {
			t.Fatalf("node %d had an event of %d bytes at %v, want once", i, len(payload), times)
		}
		last = max(last, times[0])
	}
	return last, sent.Warning
}

// run is a test in a bubble. Yamux keeps timers in a pool, and one that comes
// from another bubble panics when it is used: two collections empty it.
func run(t *testing.T, test func(*testing.T)) {
	runtime.GC()
	runtime.GC()
	synctest.Test(t, test)
}

// Large events come to all agents of a cluster within a second, by the clock of
// the network: the first, when the publisher does not know yet who its peers
// are, and those over links.
func TestClusterHasLargeEvents(t *testing.T) {
	run(t, func(t *testing.T) {
		const nodes = 8
		c := newCluster(t, nodes, 0, func(*config.Options) {})
		defer c.end()
		for n, size := range []int{8 << 10, 200_000, 8<<10 + 1, 200_001, large.MaxEvent - 1} {
			last, warning := c.publish(t, strings.Repeat(fmt.Sprint(n), size), nodes, 5*time.Second)
			if last > time.Second || warning != "" {
				t.Errorf("%d bytes: the last had it after %v, and %q", size, last, warning)
			}
			t.Logf("SUMMARY large events on a network in memory: %d bytes, the last of %d nodes had them after %v",
				size, nodes, last.Round(10*time.Microsecond))
		}
	})
}

// They come to all, and once, where a tenth of the packets is lost.
func TestClusterThatLosesPackets(t *testing.T) {
	run(t, func(t *testing.T) {
		const nodes = 5
		c := newCluster(t, nodes, 0.1, func(*config.Options) {})
		defer c.end()
		for n, size := range []int{8 << 10, 200_000, 200_001} {
			c.publish(t, strings.Repeat(fmt.Sprint(n), size), nodes, time.Minute)
		}
	})
}

// One that has no links gets none, and the publisher is told its name alone:
// the others have said what they are, or have it said within two seconds.
func TestClusterWithOneThatHasNoLinks(t *testing.T) {
	run(t, func(t *testing.T) {
		const nodes = 6
		c := newCluster(t, nodes, 0, func(o *config.Options) { o.PeerLinks = false })
		defer c.end()
		for n := range 3 {
			payload := strings.Repeat(fmt.Sprint(n), 8<<10)
			_, warning := c.publish(t, payload, nodes-1, 5*time.Second)
			if !strings.HasPrefix(warning, "1 of the cluster's members get no event of over 512 bytes") || !strings.HasSuffix(warning, fmt.Sprint(": node-", nodes-1)) {
				t.Errorf("the publisher is told %q", warning)
			}
			if got := c.came["e"+payload][nodes-1]; len(got) != 0 {
				t.Errorf("it has it all the same: %v", got)
			}
		}
		for event := range c.came {
			if strings.HasPrefix(event, large.EventName) {
				t.Error("a stream has a reference")
			}
		}
	})
}
