package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"agentctl/agent"
	"agentctl/agent/large"
	"agentctl/handler"
)

type handlerCommand struct{}

func (*handlerCommand) Synopsis() string {
	return "Posts one event; for use as a script under stock serf"
}

func (*handlerCommand) Help() string {
	return `Usage: agentctl handler [options]

  Stands in for an event script under a stock serf agent: reads the event from
  the SERF_ variables and standard input and POSTs it to the gateway. It tries
  again until the gateway has taken it or the budget is used up. The exit
  status is 0 only if the gateway answered 2xx; otherwise it is 1, and a line
  on standard error says what failed.

Options:

  -gateway=URL   Where to post: http://, https:// or unix:/socket:/path; also as
                 AGENTCTL_GATEWAY. Default: ` + agent.DefaultGateway + `
  -budget=5s     Longest time for all tries together. Serf runs one script at a
                 time, so a long budget holds up the events that follow.

Example:

  serf agent -event-handler 'user:kong=agentctl handler -gateway=` + agent.DefaultGateway + `'`
}

func (c *handlerCommand) Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.deliver(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "agentctl handler:", err)
		return 1
	}
	return 0
}

func (c *handlerCommand) deliver(ctx context.Context, args []string) error {
	fs := newFlags("handler")
	gateway := fs.String("gateway", firstEnv(agent.DefaultGateway, "AGENTCTL_GATEWAY"), "")
	budget := fs.Duration("budget", 5*time.Second, "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; \"agentctl handler -help\" shows how to use it", fs.Arg(0))
	}
	if *budget <= 0 {
		return fmt.Errorf("-budget: %v is not above zero", *budget)
	}
	target := handler.Target{
		URL:       agent.GatewayURL(*gateway),
		UserAgent: "agentctl/" + agent.Version,
		Timeout:   min(*budget, handler.DefaultTimeout),
	}.WithDefaults()
	if err := target.Validate(); err != nil {
		return fmt.Errorf("-gateway: %w", err)
	}
	event, err := handler.FromScript(os.Environ(), os.Stdin)
	if err != nil {
		return err
	}
	if event.Type == handler.User && event.Name == large.EventName {
		return errors.New("a reference to an event that is too large for serf: only agentctl agents get the event itself; nothing was posted")
	}
	poster, err := handler.NewPoster(target)
	if err != nil {
		return err
	}
	defer poster.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, *budget, fmt.Errorf("the budget of %v is used up", *budget))
	defer cancel()
	return handler.Deliver(ctx, poster, &event)
}
