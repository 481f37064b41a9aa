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
	"agentctl/agent/dropped"
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
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/target"
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
	opts          *config.Config
	hub           *logs.Hub
	logger        *slog.Logger
	hooks         Hooks
	registry      *prometheus.Registry
	scriptMetrics *script.Metrics
	targetRemoved prometheus.Counter // events that waited for a target that is configured no more

	targetMetrics *delivery.Metrics

	serf   *gossip.Node
	intake *intake.Intake

	peers     *peers.Peers
	links     *link.Links // nil where there are none
	publisher *publish.Publisher
	sending   context.Context // ends when nothing is to be sent any more
	endSend   context.CancelFunc
	repair    *repair.Repair    // nil where there are no links
	views     *membership.Views // likewise
	joiner    *membership.Joiner
	rejoiner  *membership.Rejoiner
	large     *large.Bodies
	journal   *journal.Journal
	disk      keeper // of what keeps the journal; nil where there is no data directory
	// returning says that the journal is of an earlier process: this node was
	// away, and takes in what it missed. lastLTime is the last Lamport time of
	// a user event in there.
	returning bool
	lastLTime uint64
	// bereft says that a node that was away has no journal of its earlier
	// process: all targets may lack events.
	bereft bool

	reloadMu   sync.Mutex // one reload at a time, and none before or after Run's work
	delivering *part      // that outlets run in; nil where there is no reload

	outletsMu sync.Mutex // held for moments only; who changes the two holds reloadMu too
	handlers  config.Handlers
	outlets   []*outlet

	rpc       *rpc.Server
	rpcLn     net.Listener
	ops       *ops.Server
	discovery *membership.Discovery // nil without -discover

	tagsMu sync.Mutex // one change at a time

	stopOnce sync.Once
	stopped  chan struct{}
	cause    error // why; set before stopped is closed
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
		stopped:  make(chan struct{}),
	}
	a.sending, a.endSend = context.WithCancel(context.Background())
	a.scriptMetrics = script.NewMetrics(a.registry)
	a.targetRemoved = dropped.Counter(a.registry, "target_removed")
	a.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "agentctl_log_lines_lost_total",
		Help: "Log lines that the log output did not take in time.",
	}, func() float64 { return float64(hub.Lost()) }))
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if err := a.openHandlers(); err != nil {
		return nil, err
	}
	// Serf last: it dials members that it knows from a snapshot at once.
	if a.rpcLn = ports.RPC; a.rpcLn == nil {
		if a.rpcLn, err = listen(c.RPCAddr); err != nil {
			return nil, listenError("RPC", "rpc-addr", err)
		}
	}
	a.rpc = rpc.New(a, rpc.Config{AuthKey: c.RPCAuthKey, Logger: logger, Metrics: a.registry})
	var opsLn net.Listener // none serves no HTTP
	if c.HTTPAddr != config.Off {
		if opsLn, err = listen(c.HTTPAddr); err != nil {
			return nil, listenError("operations", "http-addr", err)
		}
	}
	a.ops = a.newOps(opsLn)
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

// openHandlers makes the journal and an outlet for each target and script.
func (a *Agent) openHandlers() (err error) {
	a.handlers = a.opts.Handlers
	if err := a.openJournal(); err != nil {
		return err
	}
	a.targetMetrics = delivery.NewMetrics(a.registry)
	for _, t := range a.handlers.Targets {
		o, err := a.newTargetOutlet(t)
		if err == nil {
			err = a.openDelivery(o)
		}
		if err != nil {
			return err
		}
		a.outlets = append(a.outlets, o)
	}
	if a.bereft {
		if err := a.journal.Gap(0, noJournal); err != nil {
			return err
		}
	}
	for _, s := range a.handlers.Scripts {
		a.outlets = append(a.outlets, a.newScriptOutlet(s))
	}
	if err := a.openLarge(); err != nil {
		return err
	}
	a.peers = peers.New(peers.Config{
		Self: a.opts.NodeName, Members: a.Members, Query: a.Query, Links: a.opts.PeerLinks, OnFound: a.foundPeer, Logger: a.logger,
	})
	a.intake = intake.New(intake.Config{
		Journal: a.journal, Runners: runnersOf(a.outlets), Fail: a.stop, Large: a.large, Queries: a.peers.Take,
		Logger: a.logger, Metrics: a.registry,
	})
	return nil
}

// Metrics is where the agent's metrics are, and where others can be added.
func (a *Agent) Metrics() *prometheus.Registry { return a.registry }

func (a *Agent) onDelivered(target string) func(handler.Event, time.Duration) {
	if a.hooks.Attempted == nil {
		return nil
	}
	return func(e handler.Event, took time.Duration) { a.hooks.Attempted(target, e, nil, took) }
}

func (a *Agent) onFailed(gateway string) func(handler.Event, *target.PostError) {
	if a.hooks.Attempted == nil {
		return nil
	}
	return func(e handler.Event, err *target.PostError) { a.hooks.Attempted(gateway, e, err, 0) }
}

// stop makes Run end for the given cause; only the first one counts.
func (a *Agent) stop(cause error) {
	a.stopOnce.Do(func() {
		a.cause = cause
		close(a.stopped)
	})
}

// Close frees what New opened, for an agent that is not run. Run does the same
// at its end.
func (a *Agent) Close() error {
	var errs []error
	a.endSend()
	if a.discovery != nil {
		a.discovery.Close()
	}
	if a.ops != nil {
		a.ops.Close() // an error says no more than that it is closed
	}
	if a.rpcLn != nil {
		a.rpcLn.Close() // likewise
	}
	if a.serf != nil {
		errs = append(errs, a.serf.Shutdown())
	}
	if a.journal != nil {
		errs = append(errs, a.journal.Close())
	}
	return errors.Join(errs...)
}
