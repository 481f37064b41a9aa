package api

import "fmt"

// Problem is one thing that is not well at a node.
type Problem struct {
	Target string `json:"target,omitempty"` // at which it is; absent if it is at the node itself
	Text   string `json:"text"`             // what is wrong, without the target's name
	// Do is a command that mends it or shows more; absent if there is none. It is for the
	// node itself, unless Here is set.
	Do   string `json:"do,omitempty"`
	Here bool   `json:"here,omitempty"` // Do is for the node that has answered the request
}

// Check says what is not well: nothing, if it is empty. This is what "status -check" counts,
// and what a node tells others of itself.
func (s *StatusReport) Check() (problems []Problem) {
	add := func(target, do, format string, args ...any) {
		problems = append(problems, Problem{Target: target, Text: fmt.Sprintf(format, args...), Do: do})
	}
	if s.State != "alive" {
		add("", "agentctl health", "the node is %s", s.State)
	}
	if !s.Joined {
		add("", "agentctl health", "no node could be joined yet")
	}
	if d := s.Journal.Disk; d != nil && d.Degraded {
		add("", "agentctl status", "the journal's disk fails or lags: %s", d.Error)
	}
	for i := range s.Targets {
		t := &s.Targets[i]
		switch t.State {
		case TargetOK:
		case TargetRefusing:
			add(t.Target, "agentctl events -state=buried -target="+t.Target, "refusing: %s", t.LastError)
		case TargetRetrying:
			add(t.Target, "agentctl replay -now -target="+t.Target, "retrying: %s", t.LastError)
		case TargetStale:
			add(t.Target, "agentctl replay -accept-gap -target="+t.Target, "stale, empty its cache: %s", t.GapReason)
		case TargetFlushing:
			add(t.Target, "agentctl status", "flushing: %s", t.GapReason)
		default:
			add(t.Target, "agentctl status", "%s", t.State)
		}
	}
	for _, warning := range s.Warnings {
		add("", "agentctl status", "%s", warning)
	}
	return problems
}
