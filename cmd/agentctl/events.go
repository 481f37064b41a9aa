package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"agentctl/agent/api"
)

type eventsCommand struct{}

func (*eventsCommand) Synopsis() string { return "Lists the events of an agent's history" }

func (*eventsCommand) Help() string {
	return `Usage: agentctl events [options]
       agentctl events show [-raw | -nodes] [options] ID
       agentctl events dismiss -target=NAME (-all | -id=ID) [options]

  Lists the newest 100 events that the agent keeps, oldest first. It keeps those
  of the history, and older ones that still wait or are buried. SIZE is the
  payload's in bytes, and PAYLOAD its beginning. TARGETS is the event's state at
  its targets, or - if it is for none:

    waiting    the target has not taken the event yet
    delivered  the target took it
    buried     the target refused it for good; the agent keeps it for a replay
    lost       the agent gave it up: too many events waited, or it for too long
    outdated   a member event that was no longer true, and was not sent

  "agentctl events show ID" shows all of one event, with the reason if it is
  buried. With -nodes it shows the event's state at every node of the cluster.

  "agentctl events dismiss" forgets burials of a target, so that status and
  alerts stop counting them, and "agentctl replay -buried" leaves them out. It
  sends nothing. The events stay in the history, as buried.

Options:

  -all                      With dismiss: all burials of the target.
  -follow                   Begin with the newest 10 events, then show each new
                            one, once no target waits for it or after a second.
                            Ctrl-C ends it.
  -id=ID                    With dismiss: this burial; may be repeated.
  -limit=100                Show the newest events that match, at most this
                            many; up to 10000.
  -name=NAME                User events and queries of this name.
  -since=TIME               Events from this time on: 2026-01-31T15:04:05, with a
                            zone or local; 2026-01-31; or a time ago, such as 15m.
  -state=waiting|delivered|buried|lost|outdated
                            Events in this state, at any target or at -target.
  -target=NAME              Events that were for this target. Dismiss needs it.
  -nodes                    With show: ask all nodes, over their links, for the
                            event's state at their targets.
  -raw                      With show: write only the payload, byte for byte.
` + opsHelp + `
  With -format=json each event is a line.

Examples:

  agentctl events -state=buried
  agentctl events -target=kong -since=1h -limit=1000
  agentctl events -follow -state=waiting
  agentctl events show 5-0f4b3224a0bfdf43
  agentctl events show -nodes 5-0f4b3224a0bfdf43
  agentctl events dismiss -target=cache -id=5-0f4b3224a0bfdf43
  agentctl events dismiss -target=cache -all
  agentctl events -format=json | jq -r .payload`
}

// followPage is how many events -follow begins with.
const followPage = 10

func (c *eventsCommand) Run(args []string) int {
	if len(args) > 0 && args[0] == "show" {
		return runOps("events show", func(ctx context.Context) error { return c.show(ctx, args[1:], os.Stdout) })
	}
	if len(args) > 0 && args[0] == "dismiss" {
		return runOps("events dismiss", func(ctx context.Context) error { return c.dismiss(ctx, args[1:], os.Stdout) })
	}
	return runOps("events", func(ctx context.Context) error { return c.list(ctx, args, os.Stdout, os.Stderr) })
}

func (c *eventsCommand) list(ctx context.Context, args []string, out, notes io.Writer) error {
	fs := newFlags("events")
	ops := addOpsFlags(fs)
	follow := fs.Bool("follow", false, "")
	limit := fs.Int("limit", api.DefaultPage, "")
	for _, name := range []string{"name", "since", "state", "target"} {
		fs.String(name, "", "")
	}
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return unexpected(fs)
	}
	query := url.Values{}
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains([]string{"format", "http-addr", "http-token-file", "follow"}, f.Name) {
			query.Set(f.Name, f.Value.String())
		}
	})
	if since := query.Get("since"); since != "" {
		// Times without a zone are those of this terminal, not of the agent.
		t, err := api.ParseSince(since, time.Now())
		if err != nil {
			return &usageError{"-since: " + err.Error()}
		}
		query.Set("since", t.Format(time.RFC3339Nano))
	}
	client, err := ops.client()
	if err != nil {
		return err
	}
	p := newEventPrinter(out, ops.json())
	if *follow {
		p.widths = []int{24, 20, 12, 4, 9, 0} // what is usual: rows come one by one
		query.Set("follow", "1")
		if !query.Has("limit") {
			query.Set("limit", strconv.Itoa(followPage))
		}
		return c.follow(ctx, client, query, p, notes)
	}
	var page api.EventPage
	if err := client.get(ctx, "/v1/events?"+query.Encode(), &page); err != nil {
		return err
	}
	if err := p.print(page.Events...); err != nil {
		return err
	}
	switch {
	case page.More && len(page.Events) < *limit:
		fmt.Fprintln(notes, "agentctl events: there are older ones, but these are as much as fits; -target, -state and -name narrow the choice")
	case page.More:
		fmt.Fprintf(notes, "agentctl events: there are older ones; a greater -limit than %d shows them\n", *limit)
	case len(page.Events) == 0:
		fmt.Fprintln(notes, "agentctl events: no events match")
	}
	return nil
}

// follow prints what comes until an interrupt, which is its usual end.
func (c *eventsCommand) follow(ctx context.Context, client *opsClient, query url.Values, p *eventPrinter, notes io.Writer) error {
	body, err := client.open(ctx, http.MethodGet, "/v1/events?"+query.Encode(), nil)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	for dec := json.NewDecoder(body); ; {
		var line api.FollowedEvent
		err := dec.Decode(&line)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the agent has ended the stream: it was stopped, or this terminal took the events too slowly; follow again once \"agentctl status\" answers")
		}
		if err != nil {
			return client.decoded(err)
		}
		if line.Missed > 0 {
			fmt.Fprintf(notes, "agentctl events: %s missing here: the history had let go of them\n", count(line.Missed, "event"))
		}
		if line.EventReport == nil {
			continue
		}
		if err := p.print(*line.EventReport); err != nil {
			return err
		}
	}
}
