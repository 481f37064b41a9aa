package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/logs"
)

// exitNotWell is the exit status of "status -check" where something is wrong.
const exitNotWell = 2

type statusCommand struct{}

func (*statusCommand) Synopsis() string {
	return "Shows an agent and its targets, or the whole cluster"
}

func (*statusCommand) Help() string {
	return `Usage: agentctl status [options]

  Shows how an agent is doing: its node, the members that it knows, the
  journal, and its targets. For each target it shows:

    STATE           ok, or one of these:
                    refusing: the last events were refused for good, and none
                    was taken since
                    retrying: an event failed; the agent will try it again
                    flushing: events were lost; the target's flush comes first
                    stale: events were lost, and the target has no flush or
                    refused it; see "agentctl replay -help"
    WAITING OLDEST  events that the target has yet to take, and how long the
                    oldest of them has waited
    LAST            when the target last took an event
    DELIVERED       events that the target took
    RETRIED         attempts beyond the first of each event
    BURIED          events that the target refused for good, and that the agent
                    keeps for a replay
    LOST            events that the agent gave up, since the journal began; with
                    -data-dir the journal outlives the agent
    COLLAPSED       events that shared the request of an equal event that waited
    P50 P90 P99     50, 90 or 99% of the last 1,000 deliveries took at most this
                    long, from when the node knew the event

  DELIVERED, RETRIED and COLLAPSED count since the agent began, or since a
  reload changed the target.

  The exit status is 0 if the agent answers, and 1 if it does not. With -check
  it is 2 if a target is not ok, the journal is degraded, the node is not in its
  cluster, or "status" shows a WARNING: UDP is closed to a member, a member that
  can be reached is lost, a forced leave keeps a living member out (these two
  within 45 s), or a flush of all targets waits. Buried events count only as
  long as the target has taken none since.

  With -cluster it shows all members of the cluster. The agent asks each of them
  how it is, and waits for 3 s at most. A row has the member's targets together:

    VERSION         of the agent; serf/N is stock serf, or an agent without peer
                    links, with version N of serf's protocol
    STATE ITSELF    the member as this agent's serf sees it, and as it sees
                    itself; or why it says nothing: silent, failed, left, or
                    former, an agent of a version that cannot be asked
    MEMBERS LINKS   how many alive members it counts, and its open peer links:
                    if the counts differ, the cluster is split
    TARGETS         how many targets are in each state, the worst first
    WAITING LOST FLUSHED
                    events that wait or were lost, and flushes, of all targets
    OLDEST LAST     how long the oldest event waits, and the last delivery
    P99             of the slowest target

  Behind the table each cause has a line, with the command that mends it or shows
  more. With -check the exit status is 2 if there is any: the member's own status
  is not well, it does not answer or has failed, or it counts other members.
  Stock members and former versions cannot be asked, and do not count.

Options:

  -check                    Let the exit status tell whether all is well.
  -cluster                  Show all members of the cluster.
  -all                      With -cluster, list all members: of more than 20, only
                            those that are not well are listed otherwise.
` + opsHelp + `
Examples:

  agentctl status
  agentctl status -check >/dev/null || echo look here
  agentctl status -cluster
  agentctl status -format=json | jq '.targets[].waiting'`
}

func (c *statusCommand) Run(args []string) int {
	return runOps("status", func(ctx context.Context) error { return c.show(ctx, args, os.Stdout) })
}

func (c *statusCommand) show(ctx context.Context, args []string, out io.Writer) error {
	fs := newFlags("status")
	ops := addOpsFlags(fs)
	check := fs.Bool("check", false, "")
	cluster := fs.Bool("cluster", false, "")
	all := fs.Bool("all", false, "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return unexpected(fs)
	}
	if *all && !*cluster {
		return &usageError{"-all is for -cluster: a single node is shown whole"}
	}
	client, err := ops.client()
	if err != nil {
		return err
	}
	well := true
	if *cluster {
		var r api.ClusterReport
		err = showReport(ctx, client, "/v1/cluster", ops.json(), out, &r, func() error { return printCluster(out, &r, *all) })
		well = r.NotWell == 0
	} else {
		var s api.StatusReport
		err = showReport(ctx, client, "/v1/status", ops.json(), out, &s, func() error { return printStatus(out, &s, time.Now()) })
		well = allWell(&s)
	}
	if err == nil && *check && !well {
		err = exitCode(exitNotWell)
	}
	return err
}

// showReport asks for a report, and shows it as text or JSON. As JSON, it goes out whole, with
// what this version does not know.
func showReport(ctx context.Context, client *opsClient, path string, asJSON bool, out io.Writer, report any, text func() error) error {
	var raw json.RawMessage
	if err := client.get(ctx, path, &raw); err != nil {
		return err
	}
	if err := client.decoded(json.Unmarshal(raw, report)); err != nil {
		return err
	}
	if asJSON {
		_, err := fmt.Fprintln(out, logs.EscapeJSON(string(raw)))
		return err
	}
	return text()
}

func allWell(s *api.StatusReport) bool { return len(s.Check()) == 0 }

func printStatus(out io.Writer, s *api.StatusReport, now time.Time) error {
	var notes []string
	state := word(s.State)
	if !s.Joined {
		state += ", no node could be joined yet"
	}
	var members []string
	for _, status := range slices.Sorted(maps.Keys(s.Members)) {
		members = append(members, fmt.Sprintf("%d %s", s.Members[status], word(status)))
	}
	fmt.Fprintf(out, "node     %s: %s, version %s\n", word(s.Node), state, word(s.Version))
	fmt.Fprintf(out, "members  %s\n", strings.Join(members, ", "))
	for _, warning := range s.Warnings {
		fmt.Fprintf(out, "WARNING  %s\n", printable([]byte(warning), 1000))
	}
	if s.Trees != nil {
		printTrees(out, s.Trees)
	}
	fmt.Fprintf(out, "journal  %s\n\n", journalLine(&s.Journal, now))

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tSTATE\tWAITING\tOLDEST\tLAST\tDELIVERED\tRETRIED\tBURIED\tLOST\tCOLLAPSED\tP50\tP90\tP99")
	for i := range s.Targets {
		t := &s.Targets[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", word(t.Target), word(string(t.State)), t.Waiting,
			age(t.OldestWaiting, now), ago(t.LastDelivered, now), t.Delivered, t.Retried, t.BuriedNow, t.Lost, t.Collapsed,
			seconds(&t.Latency, t.Latency.P50), seconds(&t.Latency, t.Latency.P90), seconds(&t.Latency, t.Latency.P99))
		notes = append(notes, targetNotes(t, now)...)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, note := range notes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		if _, err := fmt.Fprintln(out, note); err != nil {
			return err
		}
	}
	return nil
}

// mostServed is how many members are listed that take no part in trees.
const mostServed = 10

func printTrees(out io.Writer, t *api.TreesReport) {
	fmt.Fprintf(out, "trees    events go along trees; this node has %d neighbours\n", t.Neighbours)
	for i, s := range t.Served {
		if i == mostServed {
			fmt.Fprintf(out, "served   and %d more; -format=json lists them\n", len(t.Served)-i)
			break
		}
		var by []string
		for _, name := range s.By {
			by = append(by, word(name))
		}
		from := cmp.Or(strings.Join(by, " and "), "gossip alone")
		fmt.Fprintf(out, "served   %s takes no part in trees, and gets events from %s\n", word(s.Member), from)
	}
}

// seconds is one of the quantiles, to two digits or so.
func seconds(q *api.Quantiles, v float64) string {
	switch {
	case q.Count == 0:
		return "-"
	case v < 1:
		return strconv.FormatFloat(v*1000, 'f', 1, 64) + "ms"
	case v < 60:
		return strconv.FormatFloat(v, 'f', 1, 64) + "s"
	}
	return brief(time.Duration(v * float64(time.Second)))
}

func journalLine(j *api.JournalReport, now time.Time) string {
	line := "in memory"
	if j.Disk != nil {
		line = "in " + word(j.DataDir)
		if n := j.Disk.Unwritten; n == 0 {
			line += ", durable"
		} else {
			line += fmt.Sprintf(", durable but for %s", count(n, "event"))
		}
		if j.Disk.Degraded {
			line = fmt.Sprintf("in %s, DEGRADED for %s: %s; %s not in the file", word(j.DataDir),
				age(j.Disk.Since, now), printable([]byte(j.Disk.Error), 300), count(j.Disk.Unwritten, "event"))
		}
	}
	line += "; " + count(j.Retained, "event")
	if !j.Oldest.IsZero() {
		line += ", back to " + timestamp(j.Oldest)
	}
	return line
}

// targetNotes say what is wrong with a target, and what to do.
func targetNotes(t *api.TargetReport, now time.Time) (notes []string) {
	name, lastError := word(t.Target), printable([]byte(t.LastError), 300)
	if !t.GapSince.IsZero() {
		notes = append(notes, gapNote(t, now))
	}
	if t.Attempts > 0 {
		failing := "failing"
		if t.State == api.TargetRetrying { // else Since tells of the loss
			failing += " for " + age(t.Since, now)
		}
		notes = append(notes, fmt.Sprintf("%s: %s, attempt %d: %s", name, failing, t.Attempts, lastError))
	}
	if !t.NextAttempt.IsZero() {
		notes = append(notes, name+": "+nextNote(t, now))
	}
	if t.State == api.TargetRefusing {
		notes = append(notes, fmt.Sprintf("%s: has taken nothing since it refused an event %s: %s", name, ago(t.Since, now), lastError))
	}
	if t.BuriedNow > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s refused for good: see \"agentctl events -target=%s -state=buried\"", name, count(t.BuriedNow, "event"), name))
	}
	return notes
}

// nextNote says when a target is tried again, and why not now.
func nextNote(t *api.TargetReport, now time.Time) string {
	in := "now"
	if wait := t.NextAttempt.Sub(now); wait > 0 {
		in = "in " + brief(wait)
	}
	end := fmt.Sprintf("; \"agentctl replay -target=%s -now\" ends the wait", word(t.Target))
	switch t.NextWhy {
	case api.WhyRefused:
		return "tried again as soon as it takes connections, or else " + in
	case api.WhyRetryAfter:
		return "tried again " + in + ", as its answer asked for" + end
	case api.WhyFlushed:
		return "flushed again " + in + ", as a flush just now was followed by another loss" + end
	}
	return "tried again " + in + ", as waits grow while it fails" + end
}

// gapNote says what a target lacks.
func gapNote(t *api.TargetReport, now time.Time) string {
	name := word(t.Target)
	note := fmt.Sprintf("%s: lacks events since %s, or may (%s)", name, ago(t.GapSince, now), printable([]byte(t.GapReason), 300))
	if t.State == api.TargetFlushing {
		return note + ": it is flushed before anything else is posted"
	}
	note += fmt.Sprintf(": empty its cache, then \"agentctl replay -target=%s -accept-gap\"", name)
	if t.FlushesRefused > 0 {
		note += "; or -flush in its place, to make the flush request that it refused once more"
	}
	return note
}
