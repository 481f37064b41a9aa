package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/handler"
)

const (
	devWorkers  = 4
	devMaxNodes = 50
	devFailFor  = 20 * time.Second
)

type devCommand struct{}

func (*devCommand) Synopsis() string {
	return "Shows it all at work: agents and small gateways on loopback"
}

func (*devCommand) Help() string {
	return `Usage: agentctl dev [options]

  Runs a cluster of agents in this process, on loopback, each beside a small
  gateway whose workers cache things. Publish an event from a second terminal
  and see each gateway drop what the event says. Ctrl-C ends it.

Options:

  -nodes=3                  How many agents, at most 50.
  -rpc-addr=127.0.0.1:7373  RPC address of the first agent. The others take free
                            ports.
  -http-addr=127.0.0.1:7374 Address of the first agent's operations HTTP, likewise;
                            "off" is for none.
  -gateway-fails=NODE[=20s] Make one gateway answer 500 for a while, from when the
                            cluster stands, and watch its agent try again. NODE is
                            a name such as node2.
  -log-level=err            Least level of the agents' own log lines.

Examples:

  agentctl dev -gateway-fails=node2=30s
  agentctl event kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'`
}

// devOptions are the command's flags, read.
type devOptions struct {
	nodes    int
	rpcAddr  string
	httpAddr string
	logLevel string
	failNode string
	failFor  time.Duration
}

func (c *devCommand) Run(args []string) int {
	opts, err := c.options(args)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second signal ends the program at once
		err = runDev(ctx, opts, os.Stdout)
		stop()
	}
	if err != nil {
		printErrors("agentctl dev", err)
		return 1
	}
	return 0
}

func (c *devCommand) options(args []string) (devOptions, error) {
	var o devOptions
	fs := newFlags("dev")
	fs.IntVar(&o.nodes, "nodes", 3, "")
	fs.StringVar(&o.rpcAddr, "rpc-addr", config.DefaultRPCAddr, "")
	fs.StringVar(&o.httpAddr, "http-addr", config.DefaultHTTPAddr, "")
	fs.StringVar(&o.logLevel, "log-level", "err", "")
	fails := fs.String("gateway-fails", "", "")
	if err := parseFlags(fs, args); err != nil {
		return o, err
	}
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q; \"agentctl dev -help\" lists the flags", fs.Arg(0)))
	}
	if o.nodes < 1 || o.nodes > devMaxNodes {
		errs = append(errs, fmt.Errorf("-nodes: %d is not between 1 and %d", o.nodes, devMaxNodes))
	}
	if _, _, err := net.SplitHostPort(o.rpcAddr); err != nil {
		errs = append(errs, fmt.Errorf("-rpc-addr: %w", err))
	}
	if _, _, err := net.SplitHostPort(o.httpAddr); err != nil && o.httpAddr != config.Off {
		errs = append(errs, fmt.Errorf("-http-addr: %w", err))
	}
	if _, err := logs.ParseLevel(o.logLevel); err != nil {
		errs = append(errs, fmt.Errorf("-log-level: %w", err))
	}
	if *fails != "" {
		node, d, given := strings.Cut(*fails, "=")
		o.failNode, o.failFor = node, devFailFor
		var err error
		if given {
			o.failFor, err = time.ParseDuration(d)
		}
		if err != nil || o.failFor <= 0 {
			errs = append(errs, fmt.Errorf("-gateway-fails: %q is not a duration such as 20s", d))
		}
		var n int
		if _, err := fmt.Sscanf(node, "node%d", &n); err != nil || n < 1 || n > o.nodes || devName(n-1) != node {
			errs = append(errs, fmt.Errorf("-gateway-fails: there is no %q: want node1 to %s", node, devName(o.nodes-1)))
		}
	}
	return o, errors.Join(errs...)
}

func devName(i int) string { return fmt.Sprintf("node%d", i+1) }

// devNode is one agent with its gateway.
type devNode struct {
	name    string
	agent   *agent.Agent
	gateway *devGateway
}

// runDev runs the cluster until ctx ends.
func runDev(ctx context.Context, o devOptions, out io.Writer) error {
	level, err := logs.ParseLevel(o.logLevel)
	if err != nil {
		return err
	}
	hub := logs.New(logs.Config{Out: os.Stderr, Level: level})
	defer hub.Close()
	log.SetFlags(0)
	log.SetOutput(hub.StdLogger().Writer())

	p := newDevPrinter(out, o.nodes)
	var nodes []*devNode
	var running sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		cancel(nil)
		running.Wait()
		for _, n := range nodes {
			n.gateway.Close()
		}
	}()
	start := time.Now()
	for i := range o.nodes {
		opts := devAgentOptions(o, i)
		if i > 0 {
			opts.StartJoin = []string{nodes[0].agent.GossipAddr()}
		}
		n, err := newDevNode(opts, hub, p)
		if err != nil {
			return fmt.Errorf("%s: %w", devName(i), err)
		}
		nodes = append(nodes, n)
		running.Go(func() {
			if err := runToTheEnd(ctx, n.agent, hub); err != nil {
				cancel(fmt.Errorf("%s: %w", n.name, err))
			}
		})
	}
	if err := awaitMembers(ctx, nodes); err != nil {
		return err
	}
	introduce(out, o, nodes, time.Since(start))
	if o.failNode != "" {
		go failGateway(ctx, nodes, o, p)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	p.say("", "stopping   the agents leave the cluster")
	cancel(nil)
	running.Wait()
	p.say("", "stopped")
	return nil
}

// devAgentOptions are those of agent i.
func devAgentOptions(o devOptions, i int) config.Options {
	opts := config.DefaultOptions()
	opts.NodeName = devName(i)
	opts.Bind = "127.0.0.1:0"
	opts.Profile = "local"
	opts.RPCAddr, opts.HTTPAddr = o.rpcAddr, o.httpAddr
	if i > 0 {
		opts.RPCAddr, opts.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0"
	}
	opts.BroadcastTimeout = time.Second // all leave at once: nobody is left to confirm
	opts.DrainTimeout = 4 * time.Second
	return opts
}

// newDevNode starts an agent and its gateway.
func newDevNode(opts config.Options, hub *logs.Hub, p *devPrinter) (*devNode, error) {
	name := opts.NodeName
	gateway, err := newDevGateway(name, "127.0.0.1:0", devWorkers, p.onApplied)
	if err != nil {
		return nil, err
	}
	opts.Gateway = config.GatewayURL(gateway.URL())
	conf, err := config.Compile(config.Input{Defaults: opts})
	if err != nil {
		gateway.Close()
		return nil, err
	}
	a, err := agent.New(conf, hub, agent.Hooks{
		Published: func(event string, payload []byte) { p.onPublished(name, event, payload) },
		Attempted: func(_ string, e handler.Event, err error, _ time.Duration) { p.onAttempt(name, e, err) },
	})
	if err != nil {
		gateway.Close()
		return nil, err
	}
	return &devNode{name: name, agent: a, gateway: gateway}, nil
}

// awaitMembers waits until every node sees every other.
func awaitMembers(ctx context.Context, nodes []*devNode) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		complete := true
		for _, n := range nodes {
			complete = complete && len(n.agent.Members()) == len(nodes)
		}
		if complete {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return errors.New("stopped before the cluster stood")
		}
	}
}

// introduce prints what runs where and what to do next.
func introduce(out io.Writer, o devOptions, nodes []*devNode, since time.Duration) {
	fmt.Fprintf(out, "%d agents on loopback, each beside a small gateway of %d workers, joined after %v:\n\n",
		len(nodes), devWorkers, since.Round(time.Millisecond))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  NODE\tGOSSIP\tRPC\tHTTP\tGATEWAY")
	for _, n := range nodes {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", n.name, n.agent.GossipAddr(), n.agent.RPCAddr(),
			n.agent.HTTPAddr(), config.GatewayURL(n.gateway.URL()))
	}
	w.Flush()
	first := nodes[0].agent
	rpc, http := "", ""
	if o.rpcAddr != config.DefaultRPCAddr {
		rpc = "-rpc-addr=" + first.RPCAddr() + " "
	}
	if o.httpAddr != config.DefaultHTTPAddr {
		http = " -http-addr=" + first.HTTPAddr()
	}
	fmt.Fprintf(out, `
Publish an event from a second terminal:

  go run ./cmd/agentctl event %skong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'

`, rpc)
	if o.httpAddr != config.Off {
		fmt.Fprintf(out, "See how the first agent is doing: go run ./cmd/agentctl status%s\n(another one: add -http-addr= and its address above)\n", http)
	}
	fmt.Fprintf(out, `See what a gateway's workers have cached: curl %s/apis/1
Ctrl-C ends it.

`, nodes[len(nodes)-1].gateway.URL())
}

// failGateway makes one node's gateway fail for a while.
func failGateway(ctx context.Context, nodes []*devNode, o devOptions, p *devPrinter) {
	for _, n := range nodes {
		if n.name != o.failNode {
			continue
		}
		n.gateway.failFor(o.failFor)
		p.say(n.name, "gateway    answers 500 for the next %v", o.failFor)
		select {
		case <-time.After(o.failFor):
			p.say(n.name, "gateway    works again")
		case <-ctx.Done():
		}
	}
}
