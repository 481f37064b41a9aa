package ops

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/admission"
	"agentctl/agent/api"
	"agentctl/agent/delegate"
	"agentctl/agent/link"
)

const (
	// nodesVersion begins a question for an event's outcomes; its ID follows.
	nodesVersion = 1
	// nodesTime bounds the wait for one answer.
	nodesTime = 2 * time.Second
	// nodesError bounds what is told of an error, in bytes, and nodesAnswer an
	// answer, which has a line for each target.
	nodesError, nodesAnswer = 200, 64 << 10
	// nodesEach is the least pause for each member that is asked again without a delegate,
	// where they are more than there may be links to: each needs a new one.
	nodesEach = 10 * time.Millisecond
)

const (
	// leftFirst is told of a node that left while it was asked.
	leftFirst = "it left the cluster meanwhile"
	// hearsay is told of a node whose answer does not count.
	hearsay = "one other node has passed on its answer, and neither it nor a second one has confirmed that"
)

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
	// AskStatus brings a question to a member, where its [Server.AnswerStatus] answers it.
	AskStatus func(ctx context.Context, m serf.Member, req []byte) ([]byte, error)
	// Links is how many links there may be at a time. If more members than that are asked
	// without delegates, they are asked more slowly.
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
	self      string
	members   func() []serf.Member
	outcomes  func(id string) nodeAnswer   // here
	targets   func(name string) nodeAnswer // here, that an event of this name would go to
	requests  *admission.Share             // that wait for all nodes
	delegates *delegate.Delegates
	handled   *prometheus.CounterVec // requests for other nodes, by result
}

func newNodeAsker(self string, members func() []serf.Member, others Others, outcomes func(id string) nodeAnswer) *nodeAsker {
	n := &nodeAsker{
		Others: others, self: self, members: members, outcomes: outcomes,
		requests: twice(api.MaxWaiting),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_questions_delegated_total",
			Help: "Requests of other agents to ask many members about an event for them, by result.",
		}, []string{"result"}),
	}
	for _, result := range []string{"answered", "busy", "refused"} {
		n.handled.WithLabelValues(result) // there from the beginning, so that an increase from 0 is one
	}
	n.delegates = delegate.New(delegate.Config{
		Self: self, Version: delegatedVersion, Here: n.here, Others: n.others,
		Handled: func(result string) { n.handled.WithLabelValues(result).Inc() },
	})
	return n
}

// Answer answers a peer that asks what became of an event here, or which targets an
// event would go to, or that has this node ask others.
func (s *Server) Answer(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
	if s.nodes != nil {
		return s.nodes.answer(ctx, from, req)
	}
	return nil, errQuestion
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
