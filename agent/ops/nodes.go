package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
	"agentctl/handler/backoff"
	"agentctl/handler/delivery"
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
	slots    chan struct{}              // holds a value for each request
}

func newNodeAsker(self string, members func() []serf.Member, others Others, outcomes func(id string) nodeAnswer) *nodeAsker {
	return &nodeAsker{
		Others: others, self: self, members: members, outcomes: outcomes,
		slots: make(chan struct{}, api.MaxWaiting),
	}
}

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
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, nil, errorf(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	wait := time.Duration(0)
	for key, values := range query {
		if key != "wait" {
			return 0, nil, errorf(http.StatusBadRequest, "unknown parameter %q: there is wait", key)
		}
		if wait, err = time.ParseDuration(values[len(values)-1]); err != nil || wait < 0 || wait > api.MaxNodesWait {
			return 0, nil, errorf(http.StatusBadRequest, "wait: %q is not a duration from 0s to %v", values[len(values)-1], api.MaxNodesWait)
		}
	}
	id := r.PathValue("id")
	if strings.HasPrefix(id, "m-") {
		return 0, nil, errorf(http.StatusBadRequest, "%s is a member event: each node has its own, so the others cannot be asked about it", id)
	}
	leave, err := n.enter()
	if err != nil {
		return 0, nil, err
	}
	defer leave()
	report := n.gather(r.Context(), id, wait)
	return http.StatusOK, report, r.Context().Err()
}

// enter takes a slot for a request that asks all nodes.
func (n *nodeAsker) enter() (leave func(), err error) {
	if n == nil {
		return nil, errorf(http.StatusConflict, "this agent has no peer links, over which the others are asked: start it without -peer-links=false")
	}
	select {
	case n.slots <- struct{}{}:
		return func() { <-n.slots }, nil
	default:
		return nil, errorf(http.StatusServiceUnavailable, "%d requests wait for all nodes already: try again later", api.MaxWaiting)
	}
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

// asked is what the nodes have answered so far.
type asked struct {
	asking sync.WaitGroup
	slots  chan struct{} // holds a value for each question on its way

	mu       sync.Mutex
	known    map[string]api.NodeReport
	underWay map[string]bool
	nothing  chan struct{} // closed once nothing is under way; nil: nobody waits for that
}

// all is what is known of each node.
func (a *asked) all() map[string]api.NodeReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.known)
}

// idle is closed once no question is under way.
func (a *asked) idle() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nothing = make(chan struct{})
	a.tellIdle()
	return a.nothing
}

// tellIdle is called with the lock held.
func (a *asked) tellIdle() {
	if a.nothing != nil && len(a.underWay) == 0 {
		close(a.nothing)
		a.nothing = nil
	}
}

// settled tells whether no answer may change any more. It looks once more for peers that
// did not answer that they are: a question may have been lost.
func (a *asked) settled(peers Peers) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, r := range a.known {
		if r.State == api.NodeUnknown && peers.Again(name) {
			r.State = api.NodeUnasked
			a.known[name] = r
		}
	}
	return !newNodesReport("", a.known).Open
}

// begin notes that a node is asked, unless it is asked already or its answer may not
// change any more.
func (a *asked) begin(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.known[name]
	if a.underWay[name] || known && !mayChange(before.State) {
		return false
	}
	a.underWay[name] = true
	if !known {
		a.known[name] = api.NodeReport{Node: name, State: api.NodeUnasked}
	}
	return true
}

// end notes a node's answer, nil if the time was over before it came: then what the node
// said before says more.
func (a *asked) end(name string, r *api.NodeReport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.underWay, name)
	if _, known := a.known[name]; known && r != nil { // else it has left meanwhile
		a.known[name] = *r
	}
	a.tellIdle()
}

// onlyThere deals with the nodes that have left since they were asked. One that had
// applied the event needs nothing. Of one that had not, nobody knows what becomes of it:
// its gateway may run on without the event.
func (a *asked) onlyThere(there map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, r := range a.known {
		switch {
		case there[name]:
		case r.State == api.NodeApplied:
			delete(a.known, name)
		case mayChange(r.State):
			a.known[name] = api.NodeReport{Node: name, State: api.NodeUnasked, Error: leftFirst}
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
