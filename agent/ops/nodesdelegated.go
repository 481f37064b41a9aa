package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/delegate"
	"agentctl/agent/link"
	"agentctl/handler/varint"
)

// delegatedVersion begins a request to ask others, as package delegate has it. An agent that
// does not know it answers with an error, as to every unknown question.
const delegatedVersion = 3

var errQuestion = errors.New("a question of another version")

// answer is [Server.Answer].
func (n *nodeAsker) answer(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
	if len(req) > 0 && req[0] == delegatedVersion {
		return n.delegates.Handle(ctx, from.Addr, req)
	}
	a, err := n.own(req)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// own is this node's own answer to a question.
func (n *nodeAsker) own(req []byte) (nodeAnswer, error) {
	switch {
	case len(req) > 0 && req[0] == nodesVersion:
		return n.outcomes(string(req[1:])), nil
	case len(req) > 0 && req[0] == recipientsVersion:
		return n.targets(string(req[1:])), nil
	}
	return nodeAnswer{}, errQuestion
}

// here is this node's own answer, for another node.
func (n *nodeAsker) here(_ context.Context, question []byte) (delegate.Answer, error) {
	a, err := n.own(question)
	if err != nil {
		return delegate.Answer{}, err
	}
	return pack(a)
}

// others are the members that are alive now, to ask them for another node. Whoever asks
// vouches that they are peers: otherwise each delegate would have to find that out.
func (n *nodeAsker) others() delegate.Others {
	members := n.members()
	alive := make(map[string]node, len(members))
	for _, m := range members {
		if m.Status == serf.StatusAlive {
			alive[m.Name] = node{m, true}
		}
	}
	return memberLinks{n, alive}
}

// memberLinks asks members over links to them.
type memberLinks struct {
	asker *nodeAsker
	nodes map[string]node
}

// Ask is for [delegate.Others].
func (l memberLinks) Ask(ctx context.Context, name string, question []byte) (delegate.Answer, error) {
	m, ok := l.nodes[name]
	if !ok {
		return delegate.Answer{}, fmt.Errorf("%q is no member", name)
	}
	a, err := l.asker.ask(ctx, m.Member, question)
	if err != nil {
		return delegate.Answer{}, err
	}
	return pack(a)
}

// Pass is for [delegate.Others].
func (l memberLinks) Pass(ctx context.Context, name string, req []byte) ([]byte, error) {
	m, ok := l.nodes[name]
	if !ok {
		return nil, fmt.Errorf("%q is no member", name)
	}
	return l.asker.Ask(ctx, m.Member, req)
}

// pack puts an answer into the form that delegates pass on. The times, in the order of the
// targets' names, are a node's own. All else is mostly the same at many nodes.
func pack(a nodeAnswer) (delegate.Answer, error) {
	var own varint.Encoder
	shared := a
	shared.Targets = maps.Clone(a.Targets)
	for _, name := range slices.Sorted(maps.Keys(a.Targets)) {
		o := a.Targets[name]
		own.Time(o.Time)
		o.Time = time.Time{}
		shared.Targets[name] = o
	}
	b, err := json.Marshal(shared)
	return delegate.Answer{Shared: b, Own: own}, err
}

// unpack reads what a delegate has passed on.
func unpack(packed delegate.Answer) (a nodeAnswer, err error) {
	if err := json.Unmarshal(packed.Shared, &a); err != nil {
		return nodeAnswer{}, err
	}
	d := varint.NewDecoder(packed.Own)
	for _, name := range slices.Sorted(maps.Keys(a.Targets)) {
		o := a.Targets[name]
		o.Time = d.Time()
		a.Targets[name] = o
	}
	return a, d.End()
}
