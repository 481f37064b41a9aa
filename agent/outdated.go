package agent

import (
	"bytes"
	"context"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/script"
	"agentctl/handler"
)

const (
	// reviseWait is how long after the start a member event of an earlier
	// process waits for the members to be known again.
	reviseWait = 5 * time.Second
	revisePoll = 50 * time.Millisecond
)

// stillTrue is what targets are told of a member event. One of this process
// goes to them as it is. One that an earlier process left behind goes to them
// as far as it is still true once the members are known: that a member joined
// or changed serf has said anew; that it left or failed serf would not say
// again, so that is true as long as it is not a member.
func (a *Agent) stillTrue(ctx context.Context, e handler.Event) (handler.Event, bool) {
	if a.intake.Owns(&e) {
		return e, true
	}
	switch e.Type {
	case handler.MemberLeave, handler.MemberFailed, handler.MemberReap:
	default:
		return e, false
	}
	if !a.awaitMembers(ctx) {
		return e, true // it waits on
	}
	present := map[string]bool{}
	for _, m := range a.serf.Members() {
		if m.Status == serf.StatusAlive {
			present[memberName(script.MemberLines([]serf.Member{m}))] = true
		}
	}
	var lines []byte
	for line := range bytes.Lines(e.Payload) {
		if !present[memberName(line)] {
			lines = append(lines, line...)
		}
	}
	e.Payload = lines
	return e, len(lines) > 0
}

// memberName is the name in a line as MemberLines writes them.
func memberName(line []byte) string {
	name, _, _ := bytes.Cut(line, []byte("\t"))
	return string(name)
}

// awaitMembers waits until the node has found others again, or reviseWait has
// passed, and tells whether ctx goes on.
func (a *Agent) awaitMembers(ctx context.Context) bool {
	late := time.NewTimer(time.Until(a.intake.Began().Add(reviseWait)))
	defer late.Stop()
	poll := time.NewTicker(revisePoll)
	defer poll.Stop()
	for a.serf.NumNodes() < 2 {
		select {
		case <-poll.C:
		case <-late.C:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}
