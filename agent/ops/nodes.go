package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/admission"
	"agentctl/agent/api"
	"agentctl/agent/link"
	"agentctl/handler/backoff"
)

const (
	// nodesVersion begins a question for an event's outcomes; its ID follows.
	nodesVersion = 1
	// nodesTime bounds the wait for one answer.
	nodesTime = 2 * time.Second
	// nodesAtOnce is how many members are asked at a time, for one request.
	nodesAtOnce = 64
	// nodesError bounds what is told of an error, in bytes, and nodesAnswer an
	// answer, which has a line for each target.
	nodesError, nodesAnswer = 200, 64 << 10
	// nodesEach is the least pause for each member that is asked again, where they
	// are more than there may be links to: each needs a new one.
	nodesEach = 10 * time.Millisecond
)

// leftFirst is told of a node that left while it was asked.
const leftFirst = "it left the cluster meanwhile"

// nodesPause is the pause before members are asked again: an event takes a
// millisecond or two to most gateways.
var nodesPause = backoff.Backoff{Min: 2 * time.Millisecond, Max: 250 * time.Millisecond}

// nodeAnswer is what a member says of an event: whether it has it, and what
// became of it at each target that it was for.
type nodeAnswer struct {
	Known   bool                         `json:"known"`
	Targets map[string]api.OutcomeReport `json:"targets,omitempty"`
	// Stuck is as in an [api.NodeReport]. Earlier versions do not say it.
	Stuck bool `json:"stuck,omitempty"`
}

// Others is how the other members are asked about an event.
type Others struct {
	Peers Peers
	// Ask brings a question to a member, where its [Server.Answer] answers it.
	Ask func(ctx context.Context, m serf.Member, req []byte) ([]byte, error)
	// Links is how many links there may be at a time. More members than that are
	// asked more slowly.
	Links int
	// Living are the nodes that live or have a link, whatever serf says of them: one
	// that was forced to leave while it lives has left for serf, and one that was
	// pruned is no member. Without an address a node is named, and not asked.
	Living func() []serf.Member
}

// Peers tells which members can be asked.
type Peers interface {
	// Look finds out whether members are peers, if that is not known yet.
	Look(names []string)
	// Knows tells whether a member is a peer.
	Knows(name string) bool
	// MayAnswer tells whether a member may still say that it is a peer.
	MayAnswer(name string, now time.Time) bool
	// Again looks once more, unless the member has been asked often enough. It
	// tells whether it does.
	Again(name string) bool
}

// nodeAsker finds out what became of an event at every member.
type nodeAsker struct {
	Others
	self     string
	members  func() []serf.Member
	outcomes func(id string) nodeAnswer // here
	requests *admission.Share           // that wait for all nodes
}

func newNodeAsker(self string, members func() []serf.Member, others Others, outcomes func(id string) nodeAnswer) *nodeAsker {
	return &nodeAsker{
		Others: others, self: self, members: members, outcomes: outcomes,
		requests: twice(api.MaxWaiting),
	}
}

// Answer answers a peer that asks what became of an event here, or which targets an
// event would go to.
func (s *Server) Answer(_ context.Context, _ link.Peer, req []byte) ([]byte, error) {
	switch {
	case len(req) > 0 && req[0] == nodesVersion:
		return json.Marshal(s.history.outcomes(string(req[1:])))
	case len(req) > 0 && req[0] == recipientsVersion:
		return json.Marshal(s.history.recipients(string(req[1:])))
	}
	return nil, errors.New("a question of another version")
}

// serve answers GET /v1/events/{id}/nodes.
func (n *nodeAsker) serve(r *http.Request) (int, any, error) {
	query, err := parameters(r, "wait")
	if err != nil {
		return 0, nil, err
	}
	wait := time.Duration(0)
	if given, ok := query["wait"]; ok {
		if wait, err = time.ParseDuration(given); err != nil || wait < 0 || wait > api.MaxNodesWait {
			return 0, nil, errorf(http.StatusBadRequest, "wait: %q is not a duration from 0s to %v", given, api.MaxNodesWait)
		}
	}
	id := r.PathValue("id")
	if strings.HasPrefix(id, "m-") {
		return 0, nil, errorf(http.StatusBadRequest, "%s is a member event: each node has its own, so the others cannot be asked about it", id)
	}
	leave, err := n.enter(r)
	if err != nil {
		return 0, nil, err
	}
	defer leave()
	report := n.gather(r.Context(), id, wait)
	return http.StatusOK, report, r.Context().Err()
}

// enter takes a slot for a request that asks all nodes.
func (n *nodeAsker) enter(r *http.Request) (leave func(), err error) {
	if n == nil {
		return nil, errorf(http.StatusConflict, "this agent has no peer links, over which the others are asked: start it without -peer-links=false")
	}
	leave, ok := n.requests.Enter(clientOf(r))
	if !ok {
		return nil, errorf(http.StatusServiceUnavailable, "too many requests wait for all nodes already, %d for each address at most: try again later", api.MaxWaiting)
	}
	return leave, nil
}

// question is what all nodes are asked.
type question struct {
	request []byte            // as others get it
	here    func() nodeAnswer // this node's own answer
	judge   func(*api.NodeReport, nodeAnswer)
}

// gather asks what became of an event, as settle does.
func (n *nodeAsker) gather(ctx context.Context, id string, wait time.Duration) api.NodesReport {
	return newNodesReport(id, n.settle(ctx, wait, question{
		request: append([]byte{nodesVersion}, id...),
		here:    func() nodeAnswer { return n.outcomes(id) },
		judge:   judge,
	}))
}

// settle asks the nodes until no answer may change any more, wait is over, or ctx ends.
// Without a wait it asks once.
func (n *nodeAsker) settle(ctx context.Context, wait time.Duration, q question) map[string]api.NodeReport {
	end := time.After(wait)
	asking, cancel := context.WithTimeout(ctx, cmp.Or(wait, nodesTime))
	a := &asked{known: map[string]api.NodeReport{}, underWay: map[string]bool{}, slots: make(chan struct{}, nodesAtOnce)}
	defer a.asking.Wait()
	defer cancel()
	for round := 1; ; round++ {
		open := n.round(asking, q, a)
		if wait == 0 {
			a.asking.Wait()
			return a.all()
		}
		pause := nodesPause.Ceiling(round)
		if open > n.Links {
			pause = max(pause, time.Duration(open)*nodesEach)
		}
		// A member that hangs holds up no other. So a round is over once all have answered,
		// or when it is time for the next.
		select {
		case <-a.idle():
			if a.settled(n.Peers) {
				return a.all()
			}
		case <-time.After(pause):
		case <-end:
			return a.all()
		case <-ctx.Done():
			return a.all()
		}
		select {
		case <-time.After(pause):
		case <-end:
			return a.all()
		case <-ctx.Done():
			return a.all()
		}
	}
}

// round asks those members whose answer may still change, and tells how many that are.
// It does not wait for the answers.
func (n *nodeAsker) round(ctx context.Context, q question, a *asked) (open int) {
	there := map[string]bool{}
	var names []string
	var ask []node
	for _, m := range n.everyone() {
		there[m.Name] = true
		if !a.begin(m.Name) {
			continue
		}
		ask = append(ask, m)
		if m.Name != n.self && m.Status == serf.StatusAlive {
			names = append(names, m.Name)
		}
	}
	n.Peers.Look(names)
	a.onlyThere(there)
	for _, m := range ask {
		a.asking.Go(func() {
			a.slots <- struct{}{}
			defer func() { <-a.slots }()
			r := n.one(ctx, m, q)
			if ctx.Err() != nil && m.Name != n.self {
				a.end(m.Name, nil)
				return
			}
			a.end(m.Name, &r)
		})
	}
	return len(ask)
}
