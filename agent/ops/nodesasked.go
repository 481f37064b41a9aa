package ops

import (
	"maps"
	"sync"

	"agentctl/agent/api"
)

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
