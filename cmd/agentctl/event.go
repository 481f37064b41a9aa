package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"agentctl/agent/api"
	"agentctl/rpcclient"
)

// maxPayload bounds what event reads from a file or standard input: no agent
// takes more. Its answer names its own limit.
const maxPayload = 1 << 20

type eventCommand struct{}

func (*eventCommand) Synopsis() string { return "Publishes an event to the cluster" }

func (*eventCommand) Help() string {
	return `Usage: agentctl event [options] NAME [PAYLOAD | -]

  Publishes a user event to the whole cluster through an agent, stock or ours.
  The payload goes out byte for byte; "-" reads it from standard input. The
  exit status is 0 once the agent has taken the event. Otherwise it is 1, and
  standard output has the reason. If the event is too large for some members,
  standard error names them: see -max-event-size of "agentctl agent".

  With -wait the command waits until every node's targets have taken the event.
  Then it exits 0. It exits 2 if a target did not take the event in time or
  refused it, or if a node cannot be asked, as one with stock serf. Standard
  output names these nodes, with the reason. It exits 3 if no target of any node
  is for the event. The event is published all the same, and an agent whose
  gateway is down goes on retrying it.

Options:

  -coalesce=true            Let scripts and stock agents have only the last of
                            several events of this name that come close together.
                            Targets of agentctl agents get every event anyway. Set
                            it to false if each event counts.
  -payload-file=FILE        Read the payload from a file.
  -rpc-addr=127.0.0.1:7373  RPC address of the agent, or unix:/path; also as
                            SERF_RPC_ADDR or AGENTCTL_RPC_ADDR.
  -rpc-auth=""              RPC key of the agent; also as SERF_RPC_AUTH or
                            AGENTCTL_RPC_AUTH.
  -wait=DURATION            Wait at most so long, such as 10s, until every node's
                            targets have taken the event. The command then talks
                            to -http-addr, and not to -rpc-addr.

With -wait:

` + opsHelp + `
Examples:

  agentctl event -coalesce=false kong '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"1"}}'
  jq -c . change.json | agentctl event kong -
  agentctl event purge https://www.example.org/products/17
  agentctl event -wait=10s kong '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"1"}}'`
}

// Run prints errors to standard output, as serf does: Kong reports the first
// line that it finds there.
func (c *eventCommand) Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := c.run(ctx, args, os.Stdout)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// Exit statuses of an event that was published.
const (
	notApplied  = 2 // it is not known to be applied everywhere
	forNoTarget = 3 // no target of any node is for it
)

func (c *eventCommand) run(ctx context.Context, args []string, out io.Writer) (code int, err error) {
	fs := newFlags("event")
	coalesce := fs.Bool("coalesce", true, "")
	file := fs.String("payload-file", "", "")
	wait := fs.Duration("wait", 0, "")
	addr, auth := rpcFlags(fs)
	ops := addOpsFlags(fs)
	if err := parseFlags(fs, args); err != nil {
		return 0, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case fs.NArg() < 1:
		return 0, errors.New("An event name must be specified; \"agentctl event -help\" shows how.") // serf's text
	case fs.NArg() > 2:
		return 0, errors.New("Too many command line arguments. Only a name and payload must be specified.") // serf's text
	case fs.NArg() == 2 && *file != "":
		return 0, errors.New("a payload and -payload-file are given: give one of them")
	case given["wait"] && *wait <= 0:
		return 0, fmt.Errorf("-wait: %v is no time to wait: give one such as 10s", *wait)
	case given["wait"] && (given["rpc-addr"] || given["rpc-auth"]):
		return 0, errors.New("-wait asks the agent's operations endpoint, where it publishes the event too: give -http-addr in place of -rpc-addr and -rpc-auth")
	case !given["wait"] && (given["http-addr"] || given["http-token-file"] || given["format"]):
		return 0, errors.New("-http-addr, -http-token-file and -format are for -wait: give it too, or -rpc-addr in their place")
	}
	event := api.PublishRequest{Name: fs.Arg(0), Coalesce: *coalesce}
	if event.PayloadBase64, err = readPayload(fs.Arg(1), *file); err != nil {
		return 0, err
	}
	if given["wait"] {
		return publishAndWait(ctx, ops, event, *wait, out)
	}
	return 0, publish(ctx, rpcclient.Config{Addr: *addr, AuthKey: *auth}, event, out)
}

// publish sends an event to an agent of any kind.
func publish(ctx context.Context, to rpcclient.Config, event api.PublishRequest, out io.Writer) error {
	client, err := rpcclient.Dial(ctx, to)
	if err != nil {
		return fmt.Errorf("Error connecting to Serf agent: %w", err) // serf's text
	}
	defer client.Close()
	warning, err := client.EventWarn(ctx, event.Name, event.PayloadBase64, event.Coalesce)
	return answered(out, &event, warning, err)
}

// answered tells what an agent answered to an event.
func answered(out io.Writer, event *api.PublishRequest, warning string, err error) error {
	if err != nil {
		return fmt.Errorf("Error sending event: %w", err) // serf's text
	}
	warn(warning)
	dispatched(out, event)
	return nil
}

func warn(warning string) {
	if warning != "" {
		fmt.Fprintln(os.Stderr, "Warning:", warning)
	}
}

func dispatched(out io.Writer, event *api.PublishRequest) {
	fmt.Fprintf(out, "Event '%s' dispatched! Coalescing enabled: %v\n", event.Name, event.Coalesce) // serf's text
}

// leastWait is how long the agent has to answer, where -wait is shorter.
const leastWait = time.Second

// publishAndWait sends an event to an agent of ours, and waits until all nodes
// have applied it.
func publishAndWait(ctx context.Context, ops opsFlags, event api.PublishRequest, wait time.Duration, out io.Writer) (code int, err error) {
	client, err := ops.client()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, max(wait, leastWait))
	defer cancel()
	var sent api.PublishReport
	if err := client.post(ctx, "/v1/events", event, &sent); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("the agent did not say within %v whether it has published the event", wait)
		}
		return 0, fmt.Errorf("Error sending event: %w", err)
	}
	warn(sent.Warning)
	if !ops.json() {
		dispatched(out, &event)
	}
	report, err := nodesOf(ctx, client, sent.ID, began.Add(wait))
	if err != nil { // not 1: who tries again then would publish it again
		fmt.Fprintf(os.Stderr, "The event %s is published, and what became of it is not known: %v\n", sent.ID, err)
		return notApplied, nil
	}
	switch {
	case report.NoTarget:
		code = forNoTarget
	case !report.Applied:
		code = notApplied
	}
	if ops.json() {
		return code, writeLine(out, report)
	}
	_, err = fmt.Fprintln(out, published(&report, time.Since(began)))
	return code, err
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
