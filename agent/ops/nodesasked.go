package ops

import (
	"maps"
	"sync"

	"agentctl/agent/api"
)

// asked is what the nodes have answered so far.
type asked struct {
	mu    sync.Mutex
	known map[string]api.NodeReport
}

// all is what is known of each node.
func (a *asked) all() map[string]api.NodeReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.known)
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

// open tells whether a node is still to be asked.
func (a *asked) open(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.known[name]
	return !known || mayChange(before.State)
}

// begin tells whether a node is still to be asked, and notes that it is there.
func (a *asked) begin(name string) bool {
	if !a.open(name) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.known[name]; !known {
		a.known[name] = api.NodeReport{Node: name, State: api.NodeUnasked}
	}
	return true
}

// end notes a node's answer.
func (a *asked) end(name string, r *api.NodeReport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.known[name]; known { // else it has left meanwhile
		a.known[name] = *r
	}
}

// onlyThere deals with the nodes that have left since they were asked. One that had
// applied the event needs nothing. Of one that had not, nobody knows what becomes of it:
// its gateway may run on without the event.
func (a *asked) onlyThere(there map[string]node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, r := range a.known {
		_, is := there[name]
		switch {
		case is:
		case r.State == api.NodeApplied:
			delete(a.known, name)
		case mayChange(r.State):
			a.known[name] = api.NodeReport{Node: name, State: api.NodeUnasked, Error: leftFirst}
		}
	}
}
