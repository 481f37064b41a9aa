package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/agent/membership"
	"agentctl/agent/ops"
	"agentctl/agent/peers"
	"agentctl/agent/publish"
	"agentctl/agent/repair"
	"agentctl/agent/rpc"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/journal"
)

// Hooks are called as events go their way; the dev command shows them. They
// must not block. Any may be nil.
type Hooks struct {
	// Published is called before an event that an RPC client sent here goes
	// to the cluster.
	Published func(name string, payload []byte)
	// Attempted is called after each attempt to post an event to a target;
	// err is nil when the target has taken it.
	Attempted func(target string, e handler.Event, err error, took time.Duration)
	// Stopping is called once the agent is about to leave the cluster and end,
	// whatever the cause.
	Stopping func()
}

// Agent is a serf node with targets and scripts. [New] makes one, [Agent.Run]
// runs it to its end. Methods are safe for concurrent use.
type Agent struct {
	opts     *config.Config
	hub      *logs.Hub
	logger   *slog.Logger
	hooks    Hooks
	registry *prometheus.Registry

	journal *journal.Journal
	disk    keeper // of the journal; nil if there is no data directory
	past    past
	sinks   *sinks
	intake  *intake.Intake

	serf      *gossip.Node
	peers     *peers.Peers
	links     *link.Links    // nil if there are none
	repair    *repair.Repair // likewise
	large     *large.Bodies
	publisher *publish.Publisher
	members   members

	rpc   *rpc.Server
	rpcLn net.Listener
	ops   *ops.Server

	stops stopStack
	end   ending
}

// past is what this node was before this process.
type past struct {
	// returning says that the journal is of an earlier process: this node was
	// away, and takes in what it missed. lastLTime is the last Lamport time of a
	// user event in there.
	returning bool
	lastLTime uint64
	// bereft says that a node that was away has no journal of its earlier process:
	// all targets may lack events.
	bereft bool
}

// members are the parts that see to who is in the cluster.
type members struct {
	joiner    *membership.Joiner
	rejoiner  *membership.Rejoiner
	views     *membership.Views     // nil if there are no links
	discovery *membership.Discovery // nil without -discover
}

// ending is how an agent is told to end.
type ending struct {
	once    sync.Once
	stopped chan struct{} // closed when the agent is to end
	cause   error         // why; set before stopped is closed

	sending       context.Context // ends when nothing is to be sent any more
	noMoreSending context.CancelFunc
}

// Ports are what an agent is given in place of ports of this machine: a network
// in memory, for a simulation. What is nil is opened as the options say.
type Ports struct {
	Gossip memberlist.NodeAwareTransport
	RPC    net.Listener

	tune func(*serf.Config) // for tests: has the last word on serf's limits
}

// New opens all that an agent with a configuration needs: its journal, the gossip,
// RPC and operations ports. It returns an error that says what could not be had, and
// then leaves nothing open. [Agent.Run] has to be called, or [Agent.Close].
func New(c *config.Config, hub *logs.Hub, hooks Hooks) (*Agent, error) {
	return NewOn(Ports{}, c, hub, hooks)
}

// NewOn is New on other ports. They are the agent's from then on; after an error
// the caller closes them, which may have been done.
func NewOn(ports Ports, c *config.Config, hub *logs.Hub, hooks Hooks) (_ *Agent, err error) {
	logger := hub.Logger()
	for _, w := range c.Warnings {
		logger.Warn(w)
	}
	a := &Agent{
		opts:     c,
		hub:      hub,
		logger:   logger,
		hooks:    hooks,
		registry: prometheus.NewRegistry(),
		end:      ending{stopped: make(chan struct{})},
	}
	a.end.sending, a.end.noMoreSending = context.WithCancel(context.Background())
	a.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "agentctl_log_lines_lost_total",
		Help: "Log lines that the log output did not take in time.",
	}, func() float64 { return float64(hub.Lost()) }))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := a.openEvents(); err != nil {
		return nil, err
	}
	if err := a.openServers(ports.RPC); err != nil {
		return nil, err
	}
	// Serf last: it dials members that it knows from a snapshot at once.
	if err := a.openSerf(ports); err != nil {
		return nil, err
	}
	if c.Discover != "" {
		if err := a.openDiscovery(); err != nil {
			return nil, err
		}
	}
	a.warnOpen()
	return a, nil
}

// openEvents opens the way of an event from the intake to the sinks.
func (a *Agent) openEvents() (err error) {
	if err := a.openJournal(); err != nil {
		return err
	}
	cfg := sinksConfig{
		Journal: a.journal, MaxAge: a.opts.JournalMaxAge,
		SetRunners: func(runners []*script.Runner) { a.intake.SetRunners(runners) },
		Self:       func() serf.Member { return a.serf.LocalMember() },
		Attempted:  a.hooks.Attempted,
		Logger:     a.logger, Deliveries: a.hub.LiveLogger(), Metrics: a.registry,
	}
	if a.past.returning {
		cfg.Revise = a.stillTrue
	}
	a.sinks = newSinks(cfg)
	if err := a.sinks.open(a.opts.Handlers); err != nil {
		return err
	}
	if a.past.bereft {
		if err := a.journal.Gap(0, noJournal); err != nil {
			return err
		}
	}
	if err := a.openLarge(); err != nil {
		return err
	}
	a.peers = peers.New(peers.Config{
		Self: a.opts.NodeName, Members: a.Members, Query: a.Query, Links: a.opts.PeerLinks, OnFound: a.foundPeer, Logger: a.logger,
	})
	a.intake = intake.New(intake.Config{
		Journal: a.journal, Runners: a.sinks.runners(), Fail: a.stop, Large: a.large, Queries: a.peers.Take,
		Logger: a.logger, Metrics: a.registry,
	})
	return nil
}

// openServers opens the ports of RPC, unless there is a listener already, and of
// the operations endpoint.
func (a *Agent) openServers(rpcLn net.Listener) (err error) {
	if a.rpcLn = rpcLn; a.rpcLn == nil {
		if a.rpcLn, err = listen(a.opts.RPCAddr); err != nil {
			return listenError("RPC", "rpc-addr", err)
		}
	}
	a.stops.push("closing RPC", closeWait, func(context.Context) error {
		a.rpcLn.Close() // an error says no more than that it is closed
		return nil
	})
	a.rpc = rpc.New(a, rpc.Config{AuthKey: a.opts.RPCAuthKey, Logger: a.logger, Metrics: a.registry})
	var ln net.Listener // none serves no HTTP
	if a.opts.HTTPAddr != config.Off {
		if ln, err = listen(a.opts.HTTPAddr); err != nil {
			return listenError("operations", "http-addr", err)
		}
	}
	a.ops = a.newOps(ln)
	a.stops.push("closing operations", closeWait, func(context.Context) error {
		a.ops.Close() // likewise
		return nil
	})
	return nil
}

// Metrics is where the agent's metrics are, and where others can be added.
func (a *Agent) Metrics() *prometheus.Registry { return a.registry }

// stop makes Run end for the given cause; only the first one counts.
func (a *Agent) stop(cause error) {
	a.end.once.Do(func() {
		a.end.cause = cause
		close(a.end.stopped)
	})
}

// Close frees what New opened, for an agent that is not run. Run does the same
// at its end.
func (a *Agent) Close() error {
	a.end.noMoreSending()
	return a.stops.drain()
}
