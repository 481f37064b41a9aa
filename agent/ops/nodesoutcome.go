package ops

import (
	"slices"
	"strings"

	"agentctl/agent/api"
	"agentctl/handler/delivery"
)

// The reasons of an outcome at which nothing is tried.
const (
	notServed    = "nobody serves the target any more: it is not in the configuration"
	staleUntil   = "the target is stale until somebody acts: see \"agentctl status\" there"
	acceptedOnly = "no flush since is known, though the target counts as fresh: an operator said so, or an earlier process flushed it"
)

// outcomes are what became of an event at this node's targets, as far as an operator of
// another node wants to know it: with what is the matter at those that do not have it.
func (h *history) outcomes(id string) nodeAnswer {
	rec, ok := h.journal.Find(id)
	if !ok {
		return nodeAnswer{}
	}
	a := nodeAnswer{Known: true, Targets: h.reasons(&rec)}
	served := map[string]*Target{}
	for _, t := range h.targets() {
		served[t.Name] = &t
	}
	open, tried := 0, 0
	for name, out := range a.Targets {
		out.Answer = ""
		mayCome := explain(&out, served[name])
		a.Targets[name] = out
		if out.State == api.OutcomeWaiting || out.State == api.OutcomeLost {
			open++
			if mayCome {
				tried++
			}
		}
	}
	a.Stuck = open > 0 && tried == 0
	return a
}

// explain says why an event waits, or was lost and not made good; t is nil if nobody serves
// the target. It tells whether that may change without somebody's help.
func explain(out *api.OutcomeReport, t *Target) (mayChange bool) {
	switch {
	case out.State != api.OutcomeWaiting && out.State != api.OutcomeLost:
		return false
	case t == nil:
		out.Reason = notServed
		return false
	case out.State == api.OutcomeLost:
		return lost(out, t)
	}
	if now := t.Delivery.Status(); now.State != delivery.StateOK {
		out.Reason = now.LastError
	}
	return true
}

// lost says of an event that a target lost whether the target was flushed since, and else
// why not. It tells whether that may change by itself. A flush is one since if it began after the
// loss. Where the flush is that the last event waits again, that event has to arrive, too.
func lost(out *api.OutcomeReport, t *Target) (mayChange bool) {
	// As of after the outcome: a gap is seen no later than what it is made of.
	now := t.Delivery.Status()
	upTo := t.Delivery.FlushedUpTo()
	switch {
	case now.State == delivery.StateFlushing:
		return true
	case !now.GapSince.IsZero():
		out.Reason = staleUntil
		return false
	case out.Time.IsZero() || upTo.Before(out.Time):
		out.Reason = acceptedOnly
		return false
	case t.Flush != nil && t.Flush.LastEvent && (now.Waiting > 0 || now.State != delivery.StateOK || now.LastDelivered.Before(upTo)):
		if now.State != delivery.StateOK {
			out.Reason = now.LastError
		}
		return now.Waiting > 0
	}
	out.State = api.OutcomeFlushed
	return false
}

// judge says in a word what became of the event at all targets of a node.
func judge(r *api.NodeReport, a nodeAnswer) {
	r.Targets, r.Stuck = a.Targets, a.Stuck
	if !a.Known {
		r.State = api.NodeAbsent
		return
	}
	r.State = api.NodeApplied
	for _, o := range a.Targets {
		switch o.State {
		case api.OutcomeDelivered, api.OutcomeFlushed:
		case api.OutcomeWaiting:
			r.State = api.NodeWaiting
			return // whatever the others say, it is not over
		case api.OutcomeBuried:
			r.State = api.NodeRefused
		default: // lost, outdated, and what a later version may say
			if r.State == api.NodeApplied {
				r.State = api.NodeLost
			}
		}
	}
}

// newNodesReport is what is known of all members, by name.
func newNodesReport(id string, known map[string]api.NodeReport) api.NodesReport {
	report := api.NodesReport{ID: id, Applied: len(known) > 0, Nodes: []api.NodeReport{}}
	targets := 0
	for _, r := range known {
		report.Nodes = append(report.Nodes, r)
		targets += len(r.Targets)
		report.Applied = report.Applied && r.State == api.NodeApplied
		report.Open = report.Open || mayChange(r.State) && !r.Stuck
	}
	if report.Applied && targets == 0 {
		report.Applied, report.NoTarget = false, true
	}
	slices.SortFunc(report.Nodes, func(a, b api.NodeReport) int { return strings.Compare(a.Node, b.Node) })
	return report
}

// mayChange tells whether a state may change by itself soon.
func mayChange(s api.NodeState) bool {
	switch s {
	case api.NodeWaiting, api.NodeAbsent, api.NodeFailed, api.NodeUnasked, api.NodeLost:
		return true
	}
	return false
}
