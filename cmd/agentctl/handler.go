package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/large"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/shim"
	"agentctl/handler/target"
)

// kongPreset is what the command posts by where nothing else is said.
const kongPreset = "kong"

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
                 AGENTCTL_GATEWAY. Default, for a Kong: ` + config.DefaultGateway + `
  -preset=kong   What kind of server it is; "agentctl check -presets" tells which
                 there are, and what each is sent.
  -budget=5s     Longest time for all tries together. Serf runs one script at a
                 time, so a long budget holds up the events that follow.

Examples:

  serf agent -event-handler 'user:kong=agentctl handler -gateway=` + config.DefaultGateway + `'
  serf agent -event-handler 'user:purge=agentctl handler -preset=varnish-purge -gateway=http://127.0.0.1:6081'`
}

func (c *handlerCommand) Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.deliver(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "agentctl handler:", oneLine(err.Error()))
		return 1
	}
	return 0
}

func (c *handlerCommand) deliver(ctx context.Context, args []string) error {
	fs := newFlags("handler")
	gateway := fs.String("gateway", firstEnv("", "AGENTCTL_GATEWAY"), "")
	preset := fs.String("preset", kongPreset, "")
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
	if *gateway == "" && *preset == kongPreset {
		*gateway = config.DefaultGateway
	}
	if *gateway == "" {
		return fmt.Errorf("-gateway: is missing: give the address of the server that -preset=%s is for", *preset)
	}
	options := config.TargetOptions{URL: *gateway, Preset: *preset, Timeout: min(*budget, target.DefaultTimeout)}
	to, err := options.Target()
	if err != nil {
		return settingsError(err)
	}
	event, err := shim.FromScript(os.Environ(), os.Stdin)
	if err != nil {
		return err
	}
	if event.Type == handler.User && event.Name == large.EventName {
		return errors.New("a reference to an event that is too large for serf: only agentctl agents get the event itself; nothing was posted")
	}
	poster, err := target.NewPoster(to)
	if err != nil {
		return err
	}
	defer poster.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, *budget, fmt.Errorf("the budget of %v is used up", *budget))
	defer cancel()
	return delivery.Deliver(ctx, poster, &event)
}

// settingsError names flags where an error of a target's options names its keys.
func settingsError(err error) error {
	keys := strings.NewReplacer("target: ", "", "url: ", "-gateway: ", "preset: ", "-preset: ", "\n", "; ")
	return errors.New(keys.Replace(err.Error()))
}
