//go:build linux

package simulation

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent"
	"agentctl/agent/logs"
	"agentctl/agent/memnet"
)

// linkMagic is the first byte of a link; memberlist's own streams begin with
// others. See agent/link/DESIGN.md.
const linkMagic = 0xA7

// payload is an event such as Kong publishes.
func payload(i int) []byte {
	return fmt.Appendf(nil, `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%08d"}}`, i)
}

// node is a program on the network in memory.
type node struct {
	program
	transport *memnet.Transport
}

// cluster is nodes that run.
type cluster struct {
	cfg       Config
	hub       *logs.Hub
	nodes     []*node
	rec       *recorder
	starting  atomic.Bool // see quietTransport
	published int

	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error // the first node that ended by itself
}

func newCluster(cfg Config) (_ *cluster, err error) {
	c := &cluster{cfg: cfg, rec: newRecorder(), hub: logs.New(logs.Config{Out: io.Discard, Level: slog.LevelError})}
	c.starting.Store(true)
	defer func() {
		if err != nil {
			c.start() // what does not run cannot be ended
			c.close()
		}
	}()
	cfg.Network.Counts = func(first byte) bool { return first == linkMagic }
	network := memnet.New(cfg.Network)
	for i := range cfg.Nodes {
		n, err := c.newNode(network, i)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	return c, nil
}

// start has all programs run. Those that have joined by then know how large the cluster is,
// as one that joins a cluster does.
func (c *cluster) start() {
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	for i, n := range c.nodes {
		c.wg.Go(func() {
			if err := n.run(ctx); err != nil {
				c.fail(fmt.Errorf("node %d: %w", i, err))
			}
		})
	}
}

// newNode makes the i-th node.
func (c *cluster) newNode(network *memnet.Network, i int) (*node, error) {
	n := &node{transport: network.Add(fmt.Sprintf("10.%d.%d.1:7946", i/250, i%250+1))}
	name, on, taken := fmt.Sprintf("node-%04d", i), quietTransport{n.transport, &c.starting}, func() { c.rec.note(i) }
	var err error
	if c.cfg.Stock {
		n.program, err = newStock(name, c.cfg, on, taken)
	} else {
		n.program, err = newAgent(name, c.cfg.Profile, on, c.hub, taken)
	}
	if err != nil {
		n.transport.Shutdown()
		return nil, err
	}
	return n, nil
}

func (c *cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

func (c *cluster) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// meet waits until all nodes know all.
func (c *cluster) meet() error {
	met := 0 // so many nodes know all
	return c.until("all know all", lookEvery, func() bool {
		for ; met < len(c.nodes); met++ {
			members := slices.DeleteFunc(c.nodes[met].members(), func(m serf.Member) bool { return m.Status != serf.StatusAlive })
			if len(members) < len(c.nodes) {
				return false
			}
		}
		return true
	})
}

// grow waits until all nodes have their part of the trees.
func (c *cluster) grow() error {
	grown := 0 // so many have it
	return c.until("all have neighbours", lookEvery, func() bool {
		for ; grown < len(c.nodes); grown++ {
			if !c.nodes[grown].grown(len(c.nodes)) {
				return false
			}
		}
		return true
	})
}

// settle waits until the nodes have told each other who is there, and what they send
// does not become less any more. It returns what they used in the last restTime.
func (c *cluster) settle(say func(string, ...any)) (rest usage, err error) {
	before := 0.0
	err = c.until("what is sent comes to rest", 0, func() bool {
		rest = c.during(c.nodes[0], func() { time.Sleep(restTime) })
		packets := rest.per(restTime.Seconds() * float64(len(c.nodes))).all.Packets
		say("%.1f packets a second and node", packets)
		done := before > 0 && packets > 0.95*before && packets < restPackets
		before = packets
		return done
	})
	return rest, err
}

// restPackets is more than a node sends a second when nothing is the matter: a
// ping, an answer to one, and what links and repair take.
const restPackets = 15

// until looks whether something has come to be, after each interval.
func (c *cluster) until(what string, interval time.Duration, is func() bool) error {
	for end := time.Now().Add(settleLimit); time.Now().Before(end); {
		time.Sleep(interval)
		if err := c.failure(); err != nil {
			return err
		}
		if is() {
			return nil
		}
	}
	return fmt.Errorf("not within %v: %s", settleLimit, what)
}

// close ends all nodes, and gives what they have left behind the time to end.
func (c *cluster) close() {
	c.cancel(agent.ErrNoLeave)
	c.wg.Wait()
	c.hub.Close()
	time.Sleep(settleLimit) // probes, queries and streams under way
}
