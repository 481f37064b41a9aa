package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/logs"
	"agentctl/agent/rpc"
	"agentctl/handler"
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
}

// Agent is a serf node with targets and scripts. [New] makes one, [Agent.Run]
// runs it to its end. Methods are safe for concurrent use.
type Agent struct {
	opts     Options
	hub      *logs.Hub
	logger   *slog.Logger
	hooks    Hooks
	registry *prometheus.Registry
	metrics  *metrics

	targetMetrics *handler.Metrics

	serf    *serf.Serf
	intake  *Intake
	journal handler.Journal

	reloadMu   sync.Mutex // one reload at a time, and none before or after Run's work
	delivering *part      // that outlets run in; nil where there is no reload

	outletsMu sync.Mutex // held for moments only; who changes the two holds reloadMu too
	handlers  handlerSet
	outlets   []*outlet

	rpc       *rpc.Server
	rpcLn     net.Listener
	ops       *http.Server // nil where -http-addr is off, as opsLn
	opsLn     net.Listener
	discovery *discovery // nil without -discover

	tagsMu sync.Mutex // one change at a time

	publishMu sync.Mutex
	holdOnce  sync.Once
	held      chan struct{} // closed when publishes have waited long enough for a join
	joined    chan struct{} // closed when there is no join left to wait for
	joinOnce  sync.Once
	contacted int // nodes reached by the first join; set before joined is closed

	stopOnce sync.Once
	stopped  chan struct{}
	cause    error // why; set before stopped is closed
}

// New opens all that an agent needs: its journal, the gossip, RPC and
// operations ports. It returns an error that says what could not be had, and
// then leaves nothing open. [Agent.Run] has to be called, or [Agent.Close].
func New(o Options, hub *logs.Hub, hooks Hooks) (_ *Agent, err error) {
	logger := hub.Logger()
	warnings, err := o.Normalize()
	if err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	for _, w := range warnings {
		logger.Warn(w)
	}
	a := &Agent{
		opts:     o,
		hub:      hub,
		logger:   logger,
		hooks:    hooks,
		registry: prometheus.NewRegistry(),
		joined:   make(chan struct{}),
		held:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	a.metrics = newMetrics(a.registry)
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
	if a.rpcLn, err = listen(o.RPCAddr); err != nil {
		return nil, listenError("RPC", "rpc-addr", err)
	}
	a.rpc = rpc.New(a, rpc.Config{AuthKey: o.RPCAuthKey, Logger: logger, Metrics: a.registry})
	if o.HTTPAddr != Off {
		if a.opsLn, err = listen(o.HTTPAddr); err != nil {
			return nil, listenError("operations", "http-addr", err)
		}
		a.ops = a.newOps()
	}
	if err := a.openSerf(); err != nil {
		return nil, err
	}
	if o.Discover != "" {
		node := a.serf.Memberlist().LocalNode()
		if a.discovery, err = newDiscovery(&o, a, node.Addr, int(node.Port), logger, hub.StdLogger()); err != nil {
			return nil, err
		}
	}
	if len(o.StartJoin) == 0 && len(o.RetryJoin) == 0 {
		a.markJoined(0)
	}
	a.warnOpenRPC()
	return a, nil
}

// openHandlers makes the journal and an outlet for each target and script.
func (a *Agent) openHandlers() (err error) {
	if a.handlers, err = a.opts.handlers(); err != nil {
		return err
	}
	a.journal = handler.NewMemory(handler.MemoryConfig{})
	a.targetMetrics = handler.NewMetrics(a.registry)
	for _, t := range a.handlers.targets {
		o, err := a.newTargetOutlet(t)
		if err == nil {
			err = a.openDelivery(o)
		}
		if err != nil {
			return err
		}
		a.outlets = append(a.outlets, o)
	}
	for _, s := range a.handlers.scripts {
		a.outlets = append(a.outlets, a.newScriptOutlet(s))
	}
	a.intake = newIntake(a.journal, runnersOf(a.outlets), a.stop, a.logger, a.metrics)
	return nil
}

func (a *Agent) openSerf() error {
	conf, err := a.opts.serfConfig(a.hub.StdLogger())
	if err != nil {
		return err
	}
	conf.EventCh = a.intake.ch
	// The ports first: where serf cannot have them itself, it leaves goroutines
	// and, with no address to advertise, the ports behind.
	ports, err := openGossip(conf.MemberlistConfig)
	if err != nil {
		return listenError("gossip", "bind", err)
	}
	if a.serf, err = serf.Create(conf); err != nil {
		closeGossip(ports)
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

// warnOpenRPC says so where anyone on the network can command this agent.
func (a *Agent) warnOpenRPC() {
	tcp, ok := a.rpcLn.Addr().(*net.TCPAddr)
	if ok && !tcp.IP.IsLoopback() && a.opts.RPCAuthKey == "" {
		a.logger.Warn("RPC is open to the network without a key: whoever reaches it can publish events, run the handlers and remove members; set rpc_auth or listen on 127.0.0.1",
			"addr", tcp.String())
	}
}

// RPCAddr is the address that RPC clients connect to.
func (a *Agent) RPCAddr() string {
	if a.rpcLn.Addr().Network() == "unix" {
		return "unix:" + a.rpcLn.Addr().String()
	}
	return a.rpcLn.Addr().String()
}

// HTTPAddr is the address of the operations endpoint, or "off".
func (a *Agent) HTTPAddr() string {
	if a.opsLn == nil {
		return Off
	}
	return a.opsLn.Addr().String()
}

// GossipAddr is the address that other members know this one by.
func (a *Agent) GossipAddr() string { return a.serf.Memberlist().LocalNode().Address() }

// Encrypted tells whether gossip is encrypted.
func (a *Agent) Encrypted() bool { return a.serf.EncryptionEnabled() }

// Joined is closed once a join has succeeded, or at once where none was asked for.
func (a *Agent) Joined() <-chan struct{} { return a.joined }

// Contacted is how many nodes the first join reached; it is known once Joined
// is closed.
func (a *Agent) Contacted() int {
	<-a.joined
	return a.contacted
}

func (a *Agent) markJoined(contacted int) {
	a.joinOnce.Do(func() {
		a.contacted = contacted
		close(a.joined)
	})
}

func (a *Agent) onDelivered(target string) func(handler.Event, time.Duration) {
	if a.hooks.Attempted == nil {
		return nil
	}
	return func(e handler.Event, took time.Duration) { a.hooks.Attempted(target, e, nil, took) }
}

func (a *Agent) onFailed(target string) func(handler.Event, *handler.PostError) {
	if a.hooks.Attempted == nil {
		return nil
	}
	return func(e handler.Event, err *handler.PostError) { a.hooks.Attempted(target, e, err, 0) }
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
	if a.discovery != nil {
		a.discovery.server.Shutdown() // closing twice is its only error
	}
	for _, ln := range []net.Listener{a.opsLn, a.rpcLn} {
		if ln != nil {
			ln.Close() // an error says no more than that it is closed
		}
	}
	if a.serf != nil {
		errs = append(errs, a.serf.Shutdown())
	}
	if a.journal != nil {
		errs = append(errs, a.journal.Close())
	}
	return errors.Join(errs...)
}
