package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
)

// node is a node that is asked.
type node struct {
	serf.Member
	living bool // or has a link
}

// everyone is who may have targets that run: the members that have not left, and the
// nodes that still live or have a link although they have left or are no members.
func (n *nodeAsker) everyone() (all []node) {
	living := map[string]serf.Member{}
	for _, m := range n.Living() {
		living[m.Name] = m
	}
	for _, m := range n.members() {
		_, lives := living[m.Name]
		// This node may be about to leave, and knows what waits here all the same.
		if m.Status != serf.StatusLeft || lives || m.Name == n.self {
			all = append(all, node{m, lives})
		}
		delete(living, m.Name)
	}
	for _, m := range living {
		m.Status = serf.StatusLeft // for serf it is none
		all = append(all, node{m, true})
	}
	return all
}

// one asks one member.
func (n *nodeAsker) one(ctx context.Context, m node, q question) api.NodeReport {
	r := api.NodeReport{Node: m.Name}
	switch {
	case m.Name == n.self:
		q.judge(&r, q.here())
		return r
	case m.Status == serf.StatusFailed && !m.living:
		r.State = api.NodeFailed
		return r
	case m.Addr == nil && m.Status != serf.StatusAlive:
		r.State, r.Error = api.NodeUnasked, "it is no member any more, and its address is not known"
		return r
	// Of others it is not known who is a peer. Their targets run as long as they live, so
	// they are asked.
	case m.Status == serf.StatusAlive && !n.Peers.Knows(m.Name):
		if r.State = api.NodeUnknown; n.Peers.MayAnswer(m.Name, time.Now()) {
			r.State = api.NodeUnasked
		}
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, nodesTime)
	defer cancel()
	var answer nodeAnswer
	raw, err := n.Ask(ctx, m.Member, q.request)
	switch {
	case errors.Is(err, link.ErrUnknownKind), errors.Is(err, link.ErrNotPeer):
		r.State = api.NodeUnknown // a version before this question, or stock serf
		return r
	case err == nil && len(raw) > nodesAnswer:
		err = fmt.Errorf("its answer has %d bytes", len(raw))
	case err == nil:
		err = json.Unmarshal(raw, &answer)
	}
	if err != nil {
		text := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			text = "" // the state says it
		}
		r.State, r.Error = api.NodeUnasked, strings.ToValidUTF8(text[:min(len(text), nodesError)], "�")
		if m.Status == serf.StatusFailed {
			r.State = api.NodeFailed
		}
		return r
	}
	q.judge(&r, answer)
	return r
}
