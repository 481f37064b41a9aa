package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"agentctl/agent/api"
)

type replayCommand struct{}

func (*replayCommand) Synopsis() string { return "Sends events to a target once more" }

func (*replayCommand) Help() string {
	return `Usage: agentctl replay -target=NAME (-buried | -id=ID | -since=TIME) [options]
       agentctl replay -target=NAME (-flush | -accept-gap) [options]

  Makes events of the history wait for a target once more, in their old order,
  and shows how they go through. A target gets them with the same IDs as before.
  Events that wait already stay as they are. For a target's max_age they wait
  from now on. Changes of members that are not true any more ("outdated") are not
  posted, but for those that -id names.

  A target that lacks events is "flushing" or "stale" until it was flushed. The
  second form has it flushed now, or ends that without a flush.

  The exit status is 0 once the target has taken all of them (with -detach: once
  the agent has begun) or there were none, 1 if any was refused, lost or could
  not be followed, or the agent could not do it, and 130 after an interrupt,
  which ends the command and not the replay.

What, exactly one of:

  -accept-gap               Replay nothing: the gateway is known to be fresh, as
                            someone has emptied its cache.
  -buried                   All that the target refused for good.
  -flush                    Replay nothing: make the target's flush request.
  -id=ID                    This event, whether it was for the target or not; may
                            be repeated.
  -since=TIME               Those of the target's filter from this time on: a time
                            ago such as 15m, 2026-01-31T15:04:05, or 2026-01-31.

Options:

  -detach                   Do not wait for the events to be through.
  -dry-run                  Say how many it would be, and replay nothing.
  -limit=N                  At most so many, the oldest. What is left is told.
  -target=NAME              The target; "agentctl status" lists them.
` + opsHelp + `
Examples:

  agentctl replay -target=kong -buried
  agentctl replay -target=kong -since=2h -dry-run
  agentctl replay -target=cache -id=5-0f4b3224a0bfdf43 -id=6-59bd3a0c2ca29d4e
  agentctl replay -target=cache -accept-gap`
}

func (c *replayCommand) Run(args []string) int {
	return runOps("replay", func(ctx context.Context) error {
		return c.replay(ctx, args, os.Stdout, os.Stderr, isTerminal(os.Stderr))
	})
}

// replayFlags are the command line's.
type replayFlags struct {
	opsFlags
	detach bool
	req    api.ReplayRequest
}

func parseReplay(args []string, now time.Time) (*replayFlags, error) {
	fs := newFlags("replay")
	f := &replayFlags{opsFlags: addOpsFlags(fs)}
	fs.BoolVar(&f.req.AcceptGap, "accept-gap", false, "")
	fs.BoolVar(&f.req.Buried, "buried", false, "")
	fs.BoolVar(&f.detach, "detach", false, "")
	fs.BoolVar(&f.req.DryRun, "dry-run", false, "")
	fs.BoolVar(&f.req.Flush, "flush", false, "")
	fs.IntVar(&f.req.Limit, "limit", 0, "")
	fs.StringVar(&f.req.Since, "since", "", "")
	fs.StringVar(&f.req.Target, "target", "", "")
	fs.Func("id", "", func(id string) error { f.req.IDs = append(f.req.IDs, id); return nil })
	if err := parseFlags(fs, args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, unexpected(fs)
	}
	if f.req.Target == "" {
		return nil, &usageError{"-target is missing; \"agentctl status\" lists the targets"}
	}
	ways, limited := 0, false
	fs.Visit(func(fl *flag.Flag) {
		switch fl.Name {
		case "accept-gap", "buried", "flush":
			if fl.Value.String() == "true" {
				ways++
			}
		case "since", "id":
			ways++
		case "limit":
			limited = true
		}
	})
	gap := f.req.Flush || f.req.AcceptGap
	switch {
	case ways != 1:
		return nil, &usageError{"say which events: exactly one of -buried, -id and -since; or one of -flush and -accept-gap; \"agentctl replay -help\" shows how"}
	case gap && (f.req.DryRun || limited || f.detach):
		return nil, &usageError{"-detach, -dry-run and -limit are for events: leave them out with -flush and -accept-gap"}
	case limited && f.req.Limit < 1:
		return nil, &usageError{fmt.Sprintf("-limit: %d is not a number from 1 on", f.req.Limit)}
	}
	if f.req.Since != "" {
		t, err := api.ParseSince(f.req.Since, now)
		if err != nil {
			return nil, &usageError{"-since: " + err.Error()}
		}
		f.req.Since = t.Format(time.RFC3339Nano)
	}
	return f, nil
}

func (c *replayCommand) replay(ctx context.Context, args []string, out, notes io.Writer, terminal bool) error {
	f, err := parseReplay(args, time.Now())
	if err != nil {
		return err
	}
	client, err := f.client()
	if err != nil {
		return err
	}
	var r api.ReplayReport
	if err := client.post(ctx, "/v1/replay", &f.req, &r); err != nil {
		return err
	}
	if !f.detach && !f.req.DryRun && r.Events > 0 {
		var bar *progress
		if !f.json() {
			bar = newProgress(notes, terminal)
		}
		err := watchReplay(ctx, client, &r, bar)
		bar.end()
		if errors.Is(err, context.Canceled) {
			fmt.Fprintf(notes, "agentctl replay: interrupted; the replay goes on: %s, \"agentctl status\" shows what waits\n", through(&r))
			return exitCode(130)
		}
		if err != nil {
			return fmt.Errorf("%w (the replay had begun: %s)", err, through(&r))
		}
	}
	if f.json() {
		err = writeLine(out, &r)
	} else {
		_, err = fmt.Fprintln(out, replayLine(&r, &f.req, f.detach))
	}
	if err == nil && r.Buried+r.Lost+r.Unknown > 0 {
		return exitCode(1)
	}
	return err
}

// watchEvery is how often the agent is asked how far a replay is.
const watchEvery = 200 * time.Millisecond

// watchReplay waits until the events of a replay are through.
func watchReplay(ctx context.Context, client *opsClient, r *api.ReplayReport, bar *progress) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := client.get(ctx, fmt.Sprintf("/v1/replay/%d", r.ID), r); err != nil {
			return err
		}
		bar.show(r, time.Now())
		if r.Waiting == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// through says how far a replay is.
func through(r *api.ReplayReport) string {
	return fmt.Sprintf("%d of %s through", r.Events-r.Waiting, count(r.Events, "event"))
}
