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
       agentctl replay -target=NAME (-flush | -accept-gap | -now) [options]

  Sends events of the history to a target again, in their old order and with
  their old IDs, and shows the progress. Events that wait already stay as they
  are. If the target has a max_age, it counts from now. Member events that are
  no longer true ("outdated") are sent only if -id names them.

  A target that lost events is "flushing" or "stale" until it is flushed. The
  second form repairs it: -flush sends its flush request now, and -accept-gap
  says that you have emptied its cache yourself.

  After a failed attempt the agent waits, for up to 30 s or as long as the
  target asked for with Retry-After, which is cut to 5 minutes. -now ends the
  wait. A target that refused connections does not need it: the agent notices
  when it is back. SIGHUP ends the waits for all targets.

  The exit status is 0 if the target took all events, or there were none. With
  -detach it is 0 once the agent has begun. It is 1 if the agent could not
  replay, or an event was refused, lost or could not be followed. It is 130
  after an interrupt, which ends the command but not the replay.

Exactly one of:

  -accept-gap               Replay nothing. The target is fresh, because you have
                            emptied its cache.
  -buried                   All events that the target refused for good.
  -flush                    Replay nothing. Send the target's flush request.
  -id=ID                    This event, whether it was for the target or not; may
                            be repeated.
  -now                      Replay nothing. Try the events that wait at once.
  -since=TIME               Events that match the target's filter, from this time
                            on, also delivered ones: a time ago such as 15m,
                            2026-01-31T15:04:05, or 2026-01-31.

Options:

  -detach                   Do not wait for the end of the replay.
  -dry-run                  Only count the events.
  -limit=N                  Replay the oldest N events, and say how many are left.
  -target=NAME              The target; "agentctl status" lists them.
` + opsHelp + `
Examples:

  agentctl replay -target=kong -buried
  agentctl replay -target=kong -since=2h -dry-run
  agentctl replay -target=cache -id=5-0f4b3224a0bfdf43 -id=6-59bd3a0c2ca29d4e
  agentctl replay -target=cache -accept-gap
  agentctl replay -target=kong -now`
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
	fs.BoolVar(&f.req.Now, "now", false, "")
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
		case "accept-gap", "buried", "flush", "now":
			if fl.Value.String() == "true" {
				ways++
			}
		case "since", "id":
			ways++
		case "limit":
			limited = true
		}
	})
	other := f.req.Flush || f.req.AcceptGap || f.req.Now
	switch {
	case ways != 1:
		return nil, &usageError{"say which events: exactly one of -buried, -id and -since; or one of -flush, -accept-gap and -now; \"agentctl replay -help\" shows how"}
	case other && (f.req.DryRun || limited || f.detach):
		return nil, &usageError{"-detach, -dry-run and -limit are for events: leave them out with -flush, -accept-gap and -now"}
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
			bar = newProgress(notes, terminal, "replay")
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
		bar.show(replayStep(r), time.Now())
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

func replayStep(r *api.ReplayReport) step {
	done := r.Events - r.Waiting
	s := step{text: through(r), events: done, done: done, of: r.Events}
	for _, n := range []struct {
		n    int
		what string
	}{{r.Buried, "buried"}, {r.Lost, "lost"}, {r.Outdated, "outdated"}} {
		if n.n > 0 {
			s.text += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	return s
}

// through says how far a replay is.
func through(r *api.ReplayReport) string {
	return fmt.Sprintf("%d of %s through", r.Events-r.Waiting, count(r.Events, "event"))
}
