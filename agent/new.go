package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/agent/packets"
	"agentctl/agent/peers"
	"agentctl/agent/rpc"
	"agentctl/agent/script"
)

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
	hooks.Metrics = cmp.Or(hooks.Metrics, prometheus.NewRegistry())
	a := &Agent{
		opts:   c,
		ports:  ports,
		hub:    hub,
		logger: logger,
		hooks:  hooks,
		end:    ending{stopped: make(chan struct{})},
	}
	a.end.sending, a.end.noMoreSending = context.WithCancel(context.Background())
	a.end.leave = sync.OnceValue(a.leave)
	a.hooks.Metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
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
	if err := a.openServers(); err != nil {
		return nil, err
	}
	// Serf last: it dials members that it knows from a snapshot at once.
	if err := a.openSerf(); err != nil {
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
		Dial:       a.ports.Dial,
		Logger:     a.logger, Deliveries: a.hub.LiveLogger(), Metrics: a.hooks.Metrics,
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
	a.members.out.grace = max(outGrace, 3*a.opts.BroadcastTimeout)
	a.members.packets = packets.New(packets.Config{Self: a.opts.NodeName, Members: a.Members, Ping: a.ping, Logger: a.logger})
	a.peers = peers.New(peers.Config{
		Self: a.opts.NodeName, Members: a.reachable, Alive: a.alive, Query: a.ask, Links: a.opts.PeerLinks, OnFound: a.foundPeer, Logger: a.logger,
		FullyLinked: fullyLinked,
		Pass:        a.members.packets.Pass, Shake: a.shake, ReplyTo: gossip.ReplyTo, Metrics: a.hooks.Metrics,
		Near:      a.near,
		OnAgents:  func(names []string, told bool) { a.publisher.broadcast.Agents(names, told) },
		OnNoAgent: func(name string) { a.publisher.broadcast.NoAgent(name) }, Ask: a.askPeer(link.KindAgents),
	})
	a.openTimes()
	a.openDurable()
	a.intake = intake.New(intake.Config{
		Journal: a.journal, Runners: a.sinks.runners(), Fail: a.stop, Large: a.large, Queries: a.peers.Take, Taken: a.taken,
		Saw: a.times.Saw, Changed: a.membersChanged,
		Logger: a.logger, Metrics: a.hooks.Metrics,
	})
	a.logEvents()
	return nil
}

// membersChanged is told of each change of members as it comes. The intake runs once all of
// this is there.
func (a *Agent) membersChanged(e serf.MemberEvent) {
	a.members.rejoiner.Changed()
	a.publisher.broadcast.Changed(e)
}

// logEvents logs each event that scripts and streams get, as stock serf does. It is for
// good: the intake ends with the agent.
func (a *Agent) logEvents() {
	logger := a.hub.EventLogger()
	enabled := func() bool { return logger.Enabled(context.Background(), slog.LevelDebug) }
	a.intake.SubscribeWhile(enabled, func(e serf.Event) {
		if enabled() {
			logger.Debug("event received", "event", e.String())
		}
	})
}

// openServers opens the ports of RPC and of the operations endpoint, unless there
// are listeners already.
func (a *Agent) openServers() (err error) {
	if a.ports.RPC == nil {
		if a.ports.RPC, err = listen(a.opts.RPCAddr); err != nil {
			return listenError("RPC", "rpc-addr", err)
		}
	}
	a.stops.push("closing RPC", closeWait, func(context.Context) error {
		a.ports.RPC.Close() // an error says no more than that it is closed
		return nil
	})
	a.rpc = rpc.New(a.backend(), rpc.Config{AuthKey: a.opts.RPCAuthKey, Logger: a.logger, Metrics: a.hooks.Metrics})
	ln := a.ports.HTTP // none serves no HTTP
	if ln == nil && a.opts.HTTPAddr != config.Off {
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
