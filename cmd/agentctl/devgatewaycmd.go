package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// devGatewayAddr is where Kong has its endpoint, and the agent looks for it.
const devGatewayAddr = "127.0.0.1:8001"

type devGatewayCommand struct{}

func (*devGatewayCommand) Synopsis() string {
	return "Runs a small gateway to try an agent beside"
}

func (*devGatewayCommand) Help() string {
	return `Usage: agentctl dev-gateway [options]

  Runs a small gateway as those of "agentctl dev", by itself: an endpoint at
  /cluster/events/ that answers as Kong's does, and workers that cache things.
  It prints a line for each event that it is told of. Ctrl-C ends it.

  It keeps nothing and asks nobody who he is: it is for trying things out.

Options:

  -listen=` + devGatewayAddr + `  Address to listen on.
  -name=NAME               What its lines begin with; the host's name by default.
  -workers=4               How many workers, at most 64.

Examples:

  agentctl dev-gateway
  agentctl agent -http-addr=off
  agentctl event kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'
  curl http://` + devGatewayAddr + `/apis/1`
}

func (c *devGatewayCommand) Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := runDevGateway(ctx, args, os.Stdout); err != nil {
		printErrors("agentctl dev-gateway", err)
		return 1
	}
	return 0
}

// devMaxWorkers bounds -workers.
const devMaxWorkers = 64

// runDevGateway runs a gateway until ctx ends.
func runDevGateway(ctx context.Context, args []string, out io.Writer) error {
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	fs := newFlags("dev-gateway")
	listen := fs.String("listen", devGatewayAddr, "")
	name := fs.String("name", host, "")
	workers := fs.Int("workers", devWorkers, "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, unexpected(fs))
	}
	if _, _, err := net.SplitHostPort(*listen); err != nil {
		errs = append(errs, fmt.Errorf("-listen: %w", err))
	}
	if *workers < 1 || *workers > devMaxWorkers {
		errs = append(errs, fmt.Errorf("-workers: %d is not between 1 and %d", *workers, devMaxWorkers))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p := newDevPrinter(out, 1)
	g, err := newDevGateway(*name, *listen, *workers, func(name string, a devApplied) {
		what := strings.TrimSpace(word(a.eventName) + " " + a.eventID)
		if a.eventName == "" {
			what = a.kind
		}
		p.say(name, "gateway    %s: %s", what, a.did())
	})
	if err != nil {
		return err
	}
	defer g.Close()
	fmt.Fprintf(out, "a small gateway of %d workers at %s/cluster/events/; Ctrl-C ends it\n", *workers, g.URL())
	<-ctx.Done()
	return nil
}
