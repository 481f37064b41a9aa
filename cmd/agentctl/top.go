package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

type topCommand struct{}

func (*topCommand) Synopsis() string {
	return "Shows the whole cluster and its events, live in a terminal"
}

func (*topCommand) Help() string {
	return `Usage: agentctl top [options]

  Shows all members of the cluster with their targets, the worst first, and the
  events as they pass by this agent. Every 2 s the agent asks all members how
  they are. Bars show rates and latencies since the command began.

` + topKeys + `

  The columns are those of "agentctl status -cluster"; a narrow terminal shows
  some of them. RATE is the events that the targets take in a second. An event
  shows once no target here waits for it, or after a second, with its state at
  the targets of this agent.

  If the agent does not answer, the screen says so, and the command goes on
  asking. The exit status is 0 when you quit.

  Where standard input or output is no terminal, TERM is dumb, or with
  -format=json, the command prints once what "agentctl status -cluster" prints.
  With NO_COLOR set it uses no colours.

Options:

` + opsHelp + `
Examples:

  agentctl top
  agentctl top -http-addr=10.0.0.5:7374`
}

func (c *topCommand) Run(args []string) int {
	return runOps("top", func(ctx context.Context) error { return c.show(ctx, args) })
}

func (c *topCommand) show(ctx context.Context, args []string) (err error) {
	fs := newFlags("top")
	ops := addOpsFlags(fs)
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return unexpected(fs)
	}
	client, err := ops.client()
	if err != nil {
		return err
	}
	if ops.json() || os.Getenv("TERM") == "dumb" || !screen.IsTerminal(os.Stdin) || !screen.IsTerminal(os.Stdout) {
		var r api.ClusterReport
		return showReport(ctx, client, "/v1/cluster", ops.json(), os.Stdout, &r, func() error { return printCluster(os.Stdout, &r, false) })
	}
	// Without this, a signal would leave the terminal as the screen has it.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	term, err := screen.Open(os.Stdin, os.Stdout, os.Getenv("NO_COLOR") == "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, term.Close()) }() // a panic is not to stay behind the screen either
	return newTop(client.addr, time.Local).run(ctx, term, opsSource{client})
}
