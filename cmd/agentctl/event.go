package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"agentctl/rpcclient"
)

// maxPayload bounds what event reads from a file or standard input. It is far
// above what an agent takes, whose answer names its own limit.
const maxPayload = 1 << 20

type eventCommand struct{}

func (*eventCommand) Synopsis() string { return "Publishes an event to the cluster" }

func (*eventCommand) Help() string {
	return `Usage: agentctl event [options] NAME [PAYLOAD | -]

  Publishes a user event to the whole cluster through an agent, stock or ours.
  The payload goes out byte for byte; "-" reads it from standard input. The
  exit status is 0 once the agent has taken the event. Otherwise it is 1 and
  standard output has the reason.

Options:

  -coalesce=true            Whether an agent may pass on just the last of several
                            events of this name that come close together. Targets
                            of agentctl agents get every one all the same; scripts
                            and stock agents do not. Turn it off for events that
                            all count.
  -payload-file=FILE        Read the payload from a file.
  -rpc-addr=127.0.0.1:7373  RPC address of the agent, or unix:/path; also as
                            SERF_RPC_ADDR or AGENTCTL_RPC_ADDR.
  -rpc-auth=""              RPC key of the agent; also as SERF_RPC_AUTH or
                            AGENTCTL_RPC_AUTH.

Examples:

  agentctl event -coalesce=false kong '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"1"}}'
  jq -c . change.json | agentctl event kong -`
}

// Run prints errors to standard output, as serf does: Kong reports the first
// line that it finds there.
func (c *eventCommand) Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	line, err := c.publish(ctx, args)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(line)
	return 0
}

func (c *eventCommand) publish(ctx context.Context, args []string) (string, error) {
	fs := newFlags("event")
	coalesce := fs.Bool("coalesce", true, "")
	file := fs.String("payload-file", "", "")
	addr, auth := rpcFlags(fs)
	if err := parseFlags(fs, args); err != nil {
		return "", err
	}
	switch {
	case fs.NArg() < 1:
		return "", errors.New("An event name must be specified; \"agentctl event -help\" shows how.") // serf's text
	case fs.NArg() > 2:
		return "", errors.New("Too many command line arguments. Only a name and payload must be specified.") // serf's text
	case fs.NArg() == 2 && *file != "":
		return "", errors.New("a payload and -payload-file are given: give one of them")
	}
	name := fs.Arg(0)
	payload, err := readPayload(fs.Arg(1), *file)
	if err != nil {
		return "", err
	}
	client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: *addr, AuthKey: *auth})
	if err != nil {
		return "", fmt.Errorf("Error connecting to Serf agent: %w", err) // serf's text
	}
	defer client.Close()
	if err := client.Event(ctx, name, payload, *coalesce); err != nil {
		return "", fmt.Errorf("Error sending event: %w", err) // serf's text
	}
	return fmt.Sprintf("Event '%s' dispatched! Coalescing enabled: %v", name, *coalesce), nil
}

func readPayload(arg, file string) ([]byte, error) {
	in := os.Stdin
	switch {
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("payload-file: %w", err)
		}
		defer f.Close()
		in = f
	case arg != "-":
		return []byte(arg), nil
	}
	payload, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
	if err != nil {
		return nil, fmt.Errorf("reading the payload: %w", err)
	}
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("the payload is larger than %d bytes", maxPayload)
	}
	return payload, nil
}
