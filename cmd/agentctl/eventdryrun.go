package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"agentctl/agent/api"
)

// dryRun tells who would get an event of a name, and publishes nothing.
func dryRun(ctx context.Context, ops opsFlags, name string, out io.Writer) (code int, err error) {
	client, err := ops.client()
	if err != nil {
		return 0, err
	}
	var report api.RecipientsReport
	if err := client.get(ctx, "/v1/recipients?"+url.Values{"name": {name}}.Encode(), &report); err != nil {
		return 0, fmt.Errorf("nothing is published; who would get the event is not known: %w", err)
	}
	targets := 0
	for _, n := range report.Nodes {
		targets += len(n.Targets)
	}
	switch {
	case !report.Complete:
		code = notApplied
	case targets == 0:
		code = forNoTarget
	}
	if ops.json() {
		return code, writeLine(out, &report)
	}
	return code, writeRecipients(out, &report, targets)
}

func writeRecipients(out io.Writer, r *api.RecipientsReport, targets int) error {
	fmt.Fprintf(out, "Event '%s' would go to %s of %s; nothing is published\n", printable([]byte(r.Name), payloadShown), count(targets, "target"), count(len(r.Nodes), "node"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tTARGETS")
	for _, n := range r.Nodes {
		said := recipientHint(&n)
		if len(n.Targets) > 0 {
			said = words(n.Targets)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", word(n.Node), word(string(n.State)), said)
	}
	return w.Flush()
}

// recipientHint says why a node has no targets in the list.
func recipientHint(n *api.RecipientReport) string {
	hint := "none is for it"
	switch n.State {
	case api.NodeAnswered:
	case api.NodeFailed:
		hint = "not known: serf takes the node for failed"
	default:
		hint = "not known: " + nodeHints[n.State]
	}
	if n.Error != "" {
		hint += ": " + printable([]byte(n.Error), 200)
	}
	return hint
}

func words(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = word(name)
	}
	return strings.Join(shown, ", ")
}
