package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"sync"

	serfagent "github.com/hashicorp/serf/cmd/serf/command/agent"
	"github.com/mitchellh/cli"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/logs"
)

// serfAgentCommand runs an agent as "serf agent" does: its flags, with serf's
// defaults, and its output, on standard output.
type serfAgentCommand struct{ ui cli.Ui }

func (*serfAgentCommand) Synopsis() string { return (&serfagent.Command{}).Synopsis() }

func (*serfAgentCommand) Help() string { return (&serfagent.Command{}).Help() }

func (c *serfAgentCommand) Run(args []string) int {
	ui := &cli.PrefixedUi{OutputPrefix: "==> ", InfoPrefix: "    ", ErrorPrefix: "==> ", Ui: c.ui}
	conf, err := compileOptions(serfAgentFlags(ui), config.SerfOptions(), args)
	if err != nil {
		if !isUsage(err) { // then the flag package has said it
			ui.Error(err.Error())
		}
		return 1
	}
	said := *conf // serf's warnings come here, and not in the log as well
	said.Warnings = nil
	for _, w := range conf.Warnings {
		ui.Output(w)
	}
	gate := &gate{out: os.Stdout}
	hub, err := newHub(conf, gate, "serf")
	if err != nil {
		ui.Error(err.Error())
		return 1
	}
	defer closeLog(conf, hub)
	if err := runSerfAgent(&said, args, hub, ui, gate); err != nil {
		closeLog(conf, hub)                                                            // its last lines come first
		if !errors.Is(err, agent.ErrNoLeave) && !errors.Is(err, agent.ErrNoAttempts) { // the log has said it
			ui.Error(err.Error())
		}
		return 1
	}
	return 0
}

// serfAgentFlags report what is wrong with a command line as serf does.
func serfAgentFlags(ui cli.Ui) *flag.FlagSet {
	fs := flag.NewFlagSet("agent", flag.ContinueOnError)
	fs.Usage = func() { ui.Output((&serfAgentCommand{}).Help()) }
	return fs
}

// runSerfAgent runs an agent until a signal, a leave or a failure ends it.
func runSerfAgent(conf *config.Config, args []string, hub *logs.Hub, ui cli.Ui, gate *gate) error {
	log.SetFlags(0)
	log.SetOutput(hub.StdLogger().Writer())
	registry := prometheus.NewRegistry()
	stopTelemetry, err := startTelemetry(conf, registry)
	if err != nil {
		return err
	}
	defer stopTelemetry()
	bind, err := gossip.Bind(conf)
	if err != nil {
		return err
	}
	if conf.Interface != "" && conf.BindAddr.Addr() == netip.IPv4Unspecified() {
		ui.Output(fmt.Sprintf("Using interface '%s' address '%s'", conf.Interface, bind.Addr()))
	}
	ui.Output("Starting Serf agent...")
	manager := &serviceManager{logger: hub.Logger()}
	a, err := agent.New(conf, hub, agent.Hooks{Stopping: manager.stopping, Metrics: registry})
	if err != nil {
		return fmt.Errorf("Failed to start the Serf agent: %w", err) // serf's text
	}
	defer manager.follow(a)()
	ctx, stop := onSignals(conf, signalActions{
		tell: func(sig os.Signal, next nextAction) {
			ui.Output(fmt.Sprintf("Caught signal: %v", sig))
			if next == nextLeave {
				ui.Output("Gracefully shutting down agent...")
			}
		},
		reload: manager.reloading(func() {
			ui.Output("Reloading configuration...")
			conf, err := compileOptions(serfAgentFlags(ui), config.SerfOptions(), args)
			if err == nil {
				err = a.Reload(conf)
			}
			if err != nil {
				ui.Error(err.Error())
				ui.Error("Failed to reload configs")
			}
		}),
		last: func() { closeWithin(hub, lastWords) },
	})
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runToTheEnd(ctx, a, hub) }()
	ui.Output("Starting Serf agent RPC...")
	introduceSerf(ui, a, conf, bind)
	if len(conf.StartJoin) > 0 {
		ui.Output(fmt.Sprintf("Joining cluster...(replay: %v)", conf.ReplayOnJoin))
		select {
		case <-a.Joined():
			ui.Info(fmt.Sprintf("Join completed. Synced with %d initial agents", a.Contacted()))
		case err := <-ended:
			return err
		}
	}
	ui.Info("")
	ui.Output("Log data will now stream in as it occurs:\n")
	gate.open()
	return <-ended
}

// introduceSerf prints what serf prints of an agent that has started.
func introduceSerf(ui cli.Ui, a *agent.Agent, conf *config.Config, bind netip.AddrPort) {
	ui.Output("Serf agent running!")
	item := func(name, value string) { ui.Info(fmt.Sprintf("%27s: %s", name, value)) }
	item("Node name", "'"+conf.NodeName+"'")
	item("Bind addr", "'"+bind.String()+"'")
	if conf.AdvertiseAddr.IsValid() {
		ui.Info(fmt.Sprintf("Advertise addr: '%s'", conf.AdvertiseAddr))
	}
	item("RPC addr", "'"+conf.RPCAddr+"'")
	item("Encrypted", fmt.Sprint(a.Encrypted()))
	item("Snapshot", fmt.Sprint(conf.SnapshotPath != ""))
	item("Profile", conf.Profile)
	item("Message Compression Enabled", fmt.Sprint(conf.EnableCompression))
	if conf.Discover != "" {
		item("mDNS cluster", conf.Discover)
	}
}

// gate holds back what is written until it is opened: serf shows its log only
// after it has said that the agent runs. It keeps the last part of much.
type gate struct {
	mu     sync.Mutex
	out    io.Writer
	isOpen bool
	held   bytes.Buffer
}

const gateSize = 1 << 20

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOpen {
		return g.out.Write(p)
	}
	if g.held.Len() > gateSize {
		g.held.Reset()
	}
	return g.held.Write(p)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = true
	g.held.WriteTo(g.out)
}
