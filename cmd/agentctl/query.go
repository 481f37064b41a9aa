package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/hashicorp/serf/cmd/serf/command"
	serfagent "github.com/hashicorp/serf/cmd/serf/command/agent"

	"agentctl/rpcclient/wire"
)

// queryCommand is serf's query command, with names and answers that cannot forge lines.
// The further lines of an answer are indented.
type queryCommand struct{ command.QueryCommand }

func (c *queryCommand) Run(args []string) int {
	fs := flag.NewFlagSet("query", flag.ContinueOnError)
	fs.Usage = func() { c.Ui.Output(c.Help()) }
	var query wire.QueryRequest
	var tags []string
	fs.Var((*serfagent.AppendSliceValue)(&query.FilterNodes), "node", "")
	fs.Var((*serfagent.AppendSliceValue)(&tags), "tag", "")
	fs.DurationVar(&query.Timeout, "timeout", 0, "")
	noAck := fs.Bool("no-ack", false, "")
	format := fs.String("format", "text", "")
	relays := fs.Int("relay-factor", 0, "")
	dial := serfDial(rpcFlags(fs))
	if fs.Parse(args) != nil {
		return 1
	}
	problem := func(format string, args ...any) int {
		c.Ui.Error(fmt.Sprintf(format, args...))
		return 1
	}
	var err error
	switch query.FilterTags, err = serfagent.UnmarshalTags(tags); {
	case err != nil:
		return problem("Error: %s", err)
	case fs.NArg() == 0:
		problem("A query name must be specified.\n")
		return problem("%s", c.Help())
	case fs.NArg() > 2:
		problem("Too many command line arguments. Only a name and payload must be specified.\n")
		return problem("%s", c.Help())
	case *relays < 0 || *relays > 255:
		return problem("Relay factor must be between 0 and 255")
	case *format != "text" && *format != "json":
		return problem("Invalid format: %s", *format)
	}
	query.Name, query.Payload, query.RequestAck, query.RelayFactor = fs.Arg(0), []byte(fs.Arg(1)), !*noAck, uint8(*relays)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := dial(ctx)
	if err != nil {
		return problem("%s", err)
	}
	defer client.Close()
	records, err := client.Query(ctx, query)
	if err != nil {
		return problem("Error sending query: %s", err)
	}
	ui := tableUI(c.Ui)
	answers := queryAnswers{Responses: map[string]string{}}
	if *format == "text" {
		answers.tell = ui.Output
		ui.Output(fmt.Sprintf("Query '%s' dispatched", oneLine(query.Name)))
	}
	for r, err := range records {
		if err != nil && ctx.Err() == nil {
			return problem("Error receiving answers: %s", err)
		}
		if err != nil {
			return 1
		}
		answers.take(r)
	}
	return answers.finish(ui.Output, !*noAck)
}

// queryAnswers are those that came so far. Its fields are in the JSON, with serf's names.
type queryAnswers struct {
	tell      func(string) // each as it comes; nil: none
	responses int
	Acks      []string
	Responses map[string]string
}

func (a *queryAnswers) take(r wire.QueryRecord) {
	from, said := nodeQuoted(r.From), ""
	switch r.Type {
	case wire.QueryAck:
		a.Acks = append(a.Acks, r.From)
		said = "Ack from " + from
	case wire.QueryResponse:
		a.responses++
		a.Responses[r.From] = string(r.Payload)
		said = "Response from " + from + ": " + indented(strings.TrimSuffix(string(r.Payload), "\n"))
	}
	if said != "" && a.tell != nil {
		a.tell(said)
	}
}

func (a *queryAnswers) finish(out func(string), acks bool) int {
	if a.tell == nil {
		text, err := jsonText(a)
		if err != nil {
			return 1
		}
		out(text)
		return 0
	}
	if acks {
		out(fmt.Sprintf("Total Acks: %d", len(a.Acks)))
	}
	out(fmt.Sprintf("Total Responses: %d", a.responses))
	return 0
}

// nodeQuoted is a node's name in serf's quotes.
func nodeQuoted(name string) string {
	return "'" + strings.ReplaceAll(oneLine(name), "'", `\'`) + "'"
}
