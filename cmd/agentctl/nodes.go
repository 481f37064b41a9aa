package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"agentctl/agent/api"
)

// nodesMargin is the most of a wait that is left for the agent's answer to come here.
const nodesMargin = 300 * time.Millisecond

// nodesOf asks the agent what became of an event at every node, until all have
// applied it, nothing changes any more, or the time is over. Without a time it asks
// once.
func nodesOf(ctx context.Context, client *opsClient, id string, until time.Time) (report api.NodesReport, err error) {
	before := map[string]api.NodeReport{}
	for {
		wait := time.Duration(0)
		if !until.IsZero() {
			left := time.Until(until)
			wait = min(max(left-min(nodesMargin, left/10), time.Millisecond), api.MaxNodesWait)
		}
		query := url.Values{"wait": {wait.String()}}
		report = api.NodesReport{} // what is decoded into another is mixed with it
		if err := client.get(ctx, "/v1/events/"+id+"/nodes?"+query.Encode(), &report); err != nil {
			return report, err
		}
		keepLeavers(&report, before)
		// Nodes cannot answer anew in next to no time.
		if !report.Open || time.Until(until) < 2*nodesMargin {
			return report, nil
		}
	}
}

// keepLeavers keeps the nodes in a report that left after an earlier answer, without
// having applied the event: the agent remembers nothing of an earlier question.
func keepLeavers(report *api.NodesReport, before map[string]api.NodeReport) {
	for _, n := range report.Nodes {
		before[n.Node] = n
	}
	for name, n := range before {
		if n.State == api.NodeApplied || slices.ContainsFunc(report.Nodes, func(o api.NodeReport) bool { return o.Node == name }) {
			continue
		}
		if n.State != api.NodeRefused && n.State != api.NodeUnknown {
			n = api.NodeReport{Node: name, State: api.NodeUnasked, Error: "it left the cluster meanwhile"}
		}
		report.Nodes = append(report.Nodes, n)
		report.Applied, report.NoTarget = false, false
	}
	slices.SortFunc(report.Nodes, func(a, b api.NodeReport) int { return strings.Compare(a.Node, b.Node) })
}

// nodesSummary says in a line what became of an event.
func nodesSummary(r *api.NodesReport) string {
	if r.NoTarget {
		return "Not for any target of " + count(len(r.Nodes), "node")
	}
	applied, idle := 0, 0
	for _, n := range r.Nodes {
		if n.State == api.NodeApplied {
			applied++
			if len(n.Targets) == 0 {
				idle++
			}
		}
	}
	s := fmt.Sprintf("%d of %s", applied, count(len(r.Nodes), "node"))
	if r.Applied {
		s = "all " + count(len(r.Nodes), "node")
		if len(r.Nodes) == 1 {
			s = "the one node there is"
		}
	}
	s = "Applied by " + s
	if idle > 0 {
		s += fmt.Sprintf(" (%d without a target for it)", idle)
	}
	return s
}

// nodeHints say of states without targets what they mean.
var nodeHints = map[api.NodeState]string{
	api.NodeAbsent:  "it does not have the event yet, or not any more",
	api.NodeFailed:  "serf takes it for failed; if its journal outlives that, it fetches the event once it is back",
	api.NodeUnasked: "it has not answered",
	api.NodeUnknown: "it cannot be asked: stock serf, or an agent without peer links",
}

// writeNodes lists nodes with what became of the event at their targets: all, or
// those that have not applied it.
func writeNodes(out io.Writer, r *api.NodesReport, all bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tTARGET\tOUTCOME")
	for _, n := range r.Nodes {
		if n.State == api.NodeApplied && !all {
			continue
		}
		line := func(target, outcome string) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", word(n.Node), word(string(n.State)), target, outcome)
		}
		for _, name := range slices.Sorted(maps.Keys(n.Targets)) {
			line(word(name), nodeOutcome(n.Targets[name]))
		}
		switch {
		case len(n.Targets) > 0:
		case n.State == api.NodeApplied:
			line("-", "no target is for it")
		default:
			hint := nodeHints[n.State]
			if n.Error != "" {
				hint += ": " + printable([]byte(n.Error), 200)
			}
			line("-", hint)
		}
	}
	return w.Flush()
}

func nodeOutcome(o api.OutcomeReport) string {
	s := word(string(o.State))
	switch {
	case o.Reason != "":
		s += ": " + printable([]byte(o.Reason), 200)
	case o.Status != 0:
		s += fmt.Sprintf(", answered %d %s", o.Status, http.StatusText(o.Status))
	}
	if o.Into != "" {
		s += ", joined to " + word(o.Into)
	}
	return s
}

// published says what became of an event that was published a while ago.
func published(report *api.NodesReport, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after %s: %s\n", nodesSummary(report), brief(took), word(report.ID))
	if report.NoTarget {
		b.WriteString("No event handler that is a URL is for an event of this name; \"agentctl event -dry-run NAME\" tells who would get one")
	} else if !report.Applied {
		writeNodes(&b, report, false) // a strings.Builder has no errors
		fmt.Fprintf(&b, "\"agentctl events show -nodes %s\" looks again", word(report.ID))
	}
	return strings.TrimRight(b.String(), "\n")
}
