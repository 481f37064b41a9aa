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
       agentctl event -lines=FILE [options] [NAME]

  Publishes a user event to the whole cluster through an agent, stock or ours.
  The payload goes out byte for byte; "-" reads it from standard input. The
  exit status is 0 once the agent has taken the event. Otherwise it is 1, and
  standard output has the reason. If the agent is ours, standard output has the
  event's ID, for "agentctl events show". If the event is too large for some
  members, standard error names them: see -max-event-size of "agentctl agent".

  With -wait the command waits until every node's targets have taken the event.
  Then it exits 0. It exits 2 if a target did not take the event in time or
  refused it, or if a node cannot be asked, as one with stock serf. Standard
  output names these nodes, with the reason. It exits 3 if no target of any node
  is for the event. The event is published all the same, and an agent whose
  gateway is down goes on retrying it.

  Without -durable an agent that crashes within some 10 ms of its answer may lose
  the event. With -durable=N the command waits until N nodes, this one counted,
  have the event in a journal that is synced to the disk. It exits 2 if fewer had
  it in time. The event is published all the same, so do not send it again. If
  fewer than N nodes have a -data-dir, nothing is published, and it exits 1.

  With -lines=FILE the command publishes each line of a file as an event, in their
  order; "-" reads standard input. A line is the payload of an event called NAME.
  Without NAME, a line is an event in JSON, such as {"name":"a","payload":"b"}.
  Empty lines are left out. The command exits 0 once the agent has taken all. If an
  error comes behind the first event, it names the line, says how to go on, and
  exits 2. If nothing is published, it exits 1.

Options:

  -coalesce=true            Let scripts and stock agents have only the last of
                            several events of this name that come close together.
                            Targets of agentctl agents get every event anyway. Set
                            it to false if each event counts.
  -dry-run                  Publish nothing, and tell who would get the event: each
                            node, and which of its targets. The command talks to
                            -http-addr. It exits 0, 2 if a node cannot say, and 3
                            if no target of any node would get the event.
  -durable=N                Wait until N nodes have the event on their disks, for 10s
                            or as -wait says. The command talks to -http-addr. With
                            -wait, it waits for every node's targets, too.
  -lines=FILE               Publish each line of a file, or of standard input with
                            "-". The command talks to -http-addr, and shows its
                            progress on standard error.
  -payload-file=FILE        Read the payload from a file.
  -rpc-addr=127.0.0.1:7373  RPC address of the agent, or unix:/path; also as
                            SERF_RPC_ADDR or AGENTCTL_RPC_ADDR.
  -rpc-auth=""              RPC key of the agent; also as SERF_RPC_AUTH or
                            AGENTCTL_RPC_AUTH.
  -wait=DURATION            Wait at most so long, such as 10s, until every node's
                            targets have taken the event. The command then talks
                            to -http-addr. If you give -rpc-addr, it publishes
                            there, and asks the operations endpoint that the agent
                            names.

To publish over HTTP, and with -durable, -lines, -wait and -dry-run:

` + opsHelp + `
Examples:

  agentctl event -coalesce=false kong '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"1"}}'
  jq -c . change.json | agentctl event kong -
  agentctl event purge https://www.example.org/products/17
  agentctl event -wait=10s kong '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"1"}}'
  agentctl event -lines=urls.txt purge`
}

// Run prints errors to standard output, as serf does: Kong reports the first
// line that it finds there.
func (c *eventCommand) Run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := c.run(ctx, args, os.Stdout)
	if err != nil {
		fmt.Println(indented(err.Error()))
		return 1
	}
	return code
}

func (c *eventCommand) run(ctx context.Context, args []string, out io.Writer) (code int, err error) {
	fs := newFlags("event")
	coalesce := fs.Bool("coalesce", true, "")
	file := fs.String("payload-file", "", "")
	lines := fs.String("lines", "", "")
	wait := fs.Duration("wait", 0, "")
	durable := fs.Int("durable", 0, "")
	dry := fs.Bool("dry-run", false, "")
	addr, auth := rpcFlags(fs)
	ops := addOpsFlags(fs)
	if err := parseFlags(fs, args); err != nil {
		return 0, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	byRPC, byHTTP := given["rpc-addr"] || given["rpc-auth"], given["http-addr"] || given["http-token-file"]
	if given["lines"] {
		return c.lines(ctx, fs, given, &publishing{name: fs.Arg(0), coalesce: *coalesce, file: *lines, ops: ops, out: out})
	}
	switch {
	case fs.NArg() < 1:
		return 0, errors.New("An event name must be specified; \"agentctl event -help\" shows how.") // serf's text
	case fs.NArg() > 2:
		return 0, errors.New("Too many command line arguments. Only a name and payload must be specified.") // serf's text
	case fs.Arg(0) == "":
		return 0, errors.New("the event's name is empty: give one, such as kong (is a variable of the script unset?)")
	case fs.NArg() == 2 && *file != "":
		return 0, errors.New("a payload and -payload-file are given: give one of them")
	case given["wait"] && *wait <= 0:
		return 0, fmt.Errorf("-wait: %v is no time to wait: give one such as 10s", *wait)
	case given["durable"] && (*durable < 1 || *durable > api.MaxDurable):
		return 0, fmt.Errorf("-durable: %d is no number of nodes from 1 to %d", *durable, api.MaxDurable)
	case *dry && (given["wait"] || given["durable"] || byRPC):
		return 0, errors.New("-dry-run publishes nothing, and asks the agent's -http-addr: give it without -durable, -wait, -rpc-addr and -rpc-auth")
	case given["durable"] && byRPC:
		return 0, errors.New("-durable needs the agent's -http-addr, since serf's RPC has no durable publish: give that in place of -rpc-addr and -rpc-auth")
	case byRPC && byHTTP:
		return 0, errors.New("the event is published either at -rpc-addr (with -rpc-auth) or at -http-addr (with -http-token-file): give the flags of one")
	case given["format"] && !given["wait"] && !given["durable"] && !*dry && !byHTTP:
		return 0, errors.New("-format is for -durable, -wait, -dry-run and -http-addr: give one of them, too")
	case *dry:
		return dryRun(ctx, ops, fs.Arg(0), out)
	}
	event := api.PublishRequest{Name: fs.Arg(0), Coalesce: *coalesce}
	if event.PayloadBase64, err = readPayload(fs.Arg(1), *file); err != nil {
		return 0, err
	}
	rpc := rpcclient.Config{Addr: *addr, AuthKey: *auth}
	switch {
	case given["wait"] || given["durable"]:
		w := waiting{event: event, durable: *durable, targets: given["wait"], ops: ops, wait: *wait, out: out}
		if !w.targets {
			w.wait = api.DurableWait
		}
		w.until = time.Now().Add(w.wait)
		if byRPC {
			return w.byRPC(ctx, rpc)
		}
		return w.byHTTP(ctx)
	case byHTTP:
		return 0, publishOverHTTP(ctx, ops, &event, out)
	}
	return 0, publishOverRPC(ctx, rpc, &event, out)
}

// lines publishes the lines of a file.
func (*eventCommand) lines(ctx context.Context, fs *flag.FlagSet, given map[string]bool, p *publishing) (code int, err error) {
	for _, name := range []string{"dry-run", "durable", "payload-file", "rpc-addr", "rpc-auth", "wait"} {
		if given[name] {
			return 0, fmt.Errorf("-lines and -%s are given: a batch of lines goes to the agent's -http-addr, and waits for nothing", name)
		}
	}
	switch {
	case p.file == "":
		return 0, errors.New("-lines names no file: give one, or - for standard input")
	case fs.NArg() > 1:
		return 0, errors.New("a payload and -lines are given: give one of them")
	case fs.NArg() == 1 && p.name == "":
		return 0, errors.New("the event's name is empty: give one, such as kong (is a variable of the script unset?)")
	case p.name == "" && given["coalesce"]:
		return 0, errors.New("-coalesce is given without a name: each line of JSON has a coalesce of its own")
	}
	if !p.ops.json() {
		p.bar = newProgress(os.Stderr, isTerminal(os.Stderr), "event")
	}
	return p.run(ctx)
}

// publishOverRPC sends an event to an agent of any kind.
func publishOverRPC(ctx context.Context, to rpcclient.Config, event *api.PublishRequest, out io.Writer) error {
	sent, err := sendOverRPC(ctx, to, event)
	if err == nil {
		answered(out, event, sent)
	}
	return err
}

func sendOverRPC(ctx context.Context, to rpcclient.Config, event *api.PublishRequest) (sent rpcclient.Published, err error) {
	client, err := rpcclient.Dial(ctx, to)
	if err != nil {
		return sent, fmt.Errorf("Error connecting to Serf agent: %w", err) // serf's text
	}
	defer client.Close()
	if sent, err = client.Publish(ctx, event.Name, event.PayloadBase64, event.Coalesce); err != nil {
		return sent, sendingError(err)
	}
	return sent, nil
}

// publishOverHTTP sends an event to an agent of ours.
func publishOverHTTP(ctx context.Context, ops opsFlags, event *api.PublishRequest, out io.Writer) error {
	client, err := ops.client()
	if err != nil {
		return err
	}
	var sent api.PublishReport
	if err := client.post(ctx, "/v1/events", event, &sent); err != nil {
		return sendingError(err)
	}
	if ops.json() {
		return writeLine(out, &sent)
	}
	answered(out, event, rpcclient.Published{ID: sent.ID, Warning: sent.Warning})
	return nil
}

func sendingError(err error) error { return fmt.Errorf("Error sending event: %w", err) } // serf's text

// answered tells what an agent answered to an event that it has taken.
func answered(out io.Writer, event *api.PublishRequest, sent rpcclient.Published) {
	warn(sent.Warning)
	dispatched(out, event)
	if sent.ID != "" {
		fmt.Fprintf(out, "ID: %s\n", word(sent.ID))
	}
}

func warn(warning string) {
	if warning != "" {
		fmt.Fprintln(os.Stderr, "Warning:", oneLine(warning))
	}
}

func dispatched(out io.Writer, event *api.PublishRequest) {
	fmt.Fprintf(out, "Event '%s' dispatched! Coalescing enabled: %v\n", oneLine(event.Name), event.Coalesce) // serf's text
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
