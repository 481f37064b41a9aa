//go:build linux

package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/agent/memnet"
	"agentctl/handler"
)

const (
	eventName = "kong"
	// linkMagic is the first byte of a link; memberlist's own streams begin with
	// others. See agent/link/DESIGN.md.
	linkMagic = 0xA7
)

// payload is an event such as Kong publishes.
func payload(i int) []byte {
	return fmt.Appendf(nil, `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%08d"}}`, i)
}

// node is an agent on the network in memory.
type node struct {
	agent     *agent.Agent
	transport *memnet.Transport
	rpc       net.Listener
}

// cluster is agents that run.
type cluster struct {
	cfg       Config
	hub       *logs.Hub
	nodes     []*node
	rec       *recorder
	published int

	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error // the first agent that ended by itself
}

func newCluster(cfg Config) (_ *cluster, err error) {
	c := &cluster{cfg: cfg, rec: newRecorder(), hub: logs.New(logs.Config{Out: io.Discard, Level: slog.LevelError})}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	defer func() {
		if err != nil {
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
		c.wg.Go(func() {
			if err := n.agent.Run(ctx); !errors.Is(err, agent.ErrNoLeave) {
				c.fail(fmt.Errorf("node %d has ended: %w", i, err))
			}
		})
	}
	return c, nil
}

// newNode makes the i-th node. The first ones are publishers of the ways, the
// others have links.
func (c *cluster) newNode(network *memnet.Network, i int) (*node, error) {
	n := &node{transport: network.Add(fmt.Sprintf("10.%d.%d.1:7946", i/250, i%250+1)), rpc: memnet.NoListener()}
	o := config.DefaultOptions()
	o.NodeName = fmt.Sprintf("node-%04d", i)
	o.Profile = c.cfg.Profile
	o.HTTPAddr = config.Off
	o.EventHandlers = []string{"user:of-no-simulation=true"} // else the default gateway gets POSTs
	if i < len(ways) {
		o.PeerLinks, o.DirectSend = ways[i].links, ways[i].direct
	}
	conf, err := config.Compile(config.Input{Defaults: o})
	if err != nil {
		return nil, err
	}
	hooks := agent.Hooks{Taken: func(e handler.Event) {
		if e.Type == handler.User && e.Name == eventName {
			c.rec.note(i)
		}
	}}
	if n.agent, err = agent.NewOn(agent.Ports{Gossip: n.transport, RPC: n.rpc}, conf, c.hub, hooks); err != nil {
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

// join joins all to the first node, and waits until all know all.
func (c *cluster) join() error {
	for i, n := range c.nodes[1:] {
		if _, err := n.agent.Join([]string{c.nodes[0].agent.GossipAddr()}, false); err != nil {
			return fmt.Errorf("node %d does not join: %w", i+1, err)
		}
	}
	return c.until("all know all", func() bool {
		for _, n := range c.nodes {
			alive := 0
			for _, m := range n.agent.Members() {
				if m.Status == serf.StatusAlive {
					alive++
				}
			}
			if alive < len(c.nodes) {
				return false
			}
		}
		return true
	})
}

// settle waits until the nodes have told each other who is there: until what
// they send does not become less any more.
func (c *cluster) settle(say func(string, ...any)) error {
	before, sent := c.usage(c.nodes[0]), 0.0
	return c.until("what is sent comes to rest", func() bool {
		now := c.usage(c.nodes[0])
		packets := now.minus(before).all.Packets
		say("%.1f packets a second and node", packets/lookEvery.Seconds()/float64(len(c.nodes)))
		done := sent > 0 && packets > 0.95*sent && packets < restPackets*float64(len(c.nodes))*lookEvery.Seconds()
		before, sent = now, packets
		return done
	})
}

// restPackets is more than a node sends a second when nothing is the matter: a
// ping, an answer to one, and what links and repair take.
const restPackets = 15

// until looks whether something has come to be.
func (c *cluster) until(what string, is func() bool) error {
	for end := time.Now().Add(settleLimit); time.Now().Before(end); {
		time.Sleep(lookEvery)
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

// recorder notes when an event came to which nodes.
type recorder struct {
	mu   sync.Mutex
	had  map[int]bool
	at   []time.Time // in order
	want int
	all  chan struct{} // closed when all have it
}

func newRecorder() *recorder { return &recorder{had: map[int]bool{}} }

// begin forgets the event before.
func (r *recorder) begin(nodes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.had)
	r.at, r.want, r.all = nil, nodes, make(chan struct{})
}

func (r *recorder) note(node int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.had[node] {
		return
	}
	r.had[node] = true
	if r.at = append(r.at, time.Now()); len(r.at) == r.want {
		close(r.all)
	}
}

// await waits until all have the event, at most for limit, and tells when each
// got it.
func (r *recorder) await(limit time.Duration) []time.Time {
	select {
	case <-r.all:
	case <-time.After(limit):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}
