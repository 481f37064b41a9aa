package main

import (
	"fmt"
	"time"

	"agentctl/agent/api"
)

// replayLine says in one line what was done.
func replayLine(r *api.ReplayReport, req *api.ReplayRequest, detached bool) string {
	target := word(r.Target)
	switch {
	case req.Flush:
		return fmt.Sprintf("%s is to be flushed; \"agentctl status\" shows when it was", target)
	case req.AcceptGap && r.GapSince.IsZero():
		return target + " lacks nothing: there was no gap to accept"
	case req.AcceptGap:
		return fmt.Sprintf("%s counts as fresh: what it lacked since %s is accepted", target, timestamp(r.GapSince))
	case req.Now && r.Waiting == 0:
		return "nothing waits for " + target
	case req.Now:
		return fmt.Sprintf("%s is tried at once; waiting: %s; \"agentctl status\" shows how it goes", target, count(r.Waiting, "event"))
	case r.Events == 0:
		return "nothing to replay to " + target
	}
	events := count(r.Events, "event")
	if r.Events == 1 {
		events += fmt.Sprintf(" (of %s)", timestamp(r.First))
	} else {
		events += fmt.Sprintf(" (of %s to %s)", timestamp(r.First), timestamp(r.Last))
	}
	return events + whatBecame(r, req, detached) + whatIsLeft(r, req)
}

func whatBecame(r *api.ReplayReport, req *api.ReplayRequest, detached bool) string {
	target := word(r.Target)
	switch {
	case req.DryRun:
		return " would be replayed to " + target
	case detached:
		wait := "wait"
		if r.Events == 1 {
			wait = "waits"
		}
		return fmt.Sprintf(" %s for %s once more; \"agentctl status\" shows the progress", wait, target)
	case r.Delivered == r.Events:
		return fmt.Sprintf(" replayed to %s, all delivered", target)
	}
	line := fmt.Sprintf(" replayed to %s: %d delivered, %d buried, %d lost", target, r.Delivered, r.Buried, r.Lost)
	if r.Outdated > 0 {
		line += fmt.Sprintf(", %d outdated", r.Outdated)
	}
	if r.Unknown > 0 {
		line += fmt.Sprintf(", %d unknown", r.Unknown)
	}
	if r.Buried > 0 {
		line += fmt.Sprintf("; \"agentctl events -target=%s -state=buried\" lists what it refused", target)
	}
	if r.Lost > 0 {
		line += "; lost ones were given up: \"agentctl status\" says what to do"
	}
	if r.Unknown > 0 {
		line += "; the history has let go of unknown ones, or the target is gone"
	}
	return line
}

// whatIsLeft says how to go on with what a limit has left.
func whatIsLeft(r *api.ReplayReport, req *api.ReplayRequest) string {
	switch {
	case r.Left == 0:
		return ""
	case req.Since != "":
		return fmt.Sprintf("; %s left: go on with -since=%s", count(r.Left, "newer event"), r.Last.Format(time.RFC3339Nano))
	}
	left := "; " + count(r.Left, "newer event") + " left"
	if req.Buried && !req.DryRun && r.Buried == 0 {
		left += ": run the command again"
	}
	return left
}
