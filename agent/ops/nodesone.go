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

// alone is what this node knows of a node without asking it, if that is all there is to
// know.
func (n *nodeAsker) alone(m node, q question) (r api.NodeReport, ok bool) {
	r.Node = m.Name
	switch {
	case m.Name == n.self:
		q.judge(&r, q.here())
	case m.Status == serf.StatusFailed && !m.living:
		r.State = api.NodeFailed
	case m.Addr == nil && m.Status != serf.StatusAlive:
		r.State, r.Error = api.NodeUnasked, "it is no member any more, and its address is not known"
	// Of others it is not known who is a peer. Their targets run as long as they live, so
	// they are asked.
	case m.Status == serf.StatusAlive && !n.Peers.Knows(m.Name):
		if r.State = api.NodeUnknown; n.Peers.MayAnswer(m.Name, time.Now()) {
			r.State = api.NodeUnasked
		}
	default:
		return r, false
	}
	return r, true
}

// one asks one member.
func (n *nodeAsker) one(ctx context.Context, m serf.Member, q question) api.NodeReport {
	r := api.NodeReport{Node: m.Name}
	answer, err := n.ask(ctx, m, q.request)
	switch {
	case err == nil:
		q.judge(&r, answer)
	case errors.Is(err, link.ErrUnknownKind), errors.Is(err, link.ErrNotPeer):
		r.State = api.NodeUnknown // a version before this question, or stock serf
	case m.Status == serf.StatusFailed:
		r.State, r.Error = api.NodeFailed, askError(err)
	default:
		r.State, r.Error = api.NodeUnasked, askError(err)
	}
	return r
}

// ask brings a question to a member and reads its answer.
func (n *nodeAsker) ask(ctx context.Context, m serf.Member, request []byte) (answer nodeAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, nodesTime)
	defer cancel()
	raw, err := n.Ask(ctx, m, request)
	switch {
	case err != nil:
		return answer, err
	case len(raw) > nodesAnswer:
		return answer, fmt.Errorf("its answer has %d bytes", len(raw))
	}
	return answer, json.Unmarshal(raw, &answer)
}

// askError is an error as the answer tells it.
func askError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "" // the state says it
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), nodesError)], "�")
}
