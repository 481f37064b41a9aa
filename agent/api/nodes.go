package api

// NodesReport is the answer of GET /v1/events/{id}/nodes: what became of an
// event at each node, by name. A node counts if it is a member that has not left,
// or if it still lives or has a link, although the cluster was told that it left. One that leaves while it is asked, and has not
// applied the event, is unasked.
type NodesReport struct {
	ID string `json:"id"`
	// Applied says that every node's targets took the event, or were flushed
	// after they had lost it. A node without a target for it has nothing to apply,
	// but at least one node has a target for it.
	Applied bool `json:"applied"`
	// NoTarget says that all nodes have the event, and that no target of any of
	// them is for it. Applied is false then.
	NoTarget bool `json:"no_target,omitempty"`
	// Open says that the answer may still change by itself: the event waits somewhere
	// or waits for a flush, or a member is down, lacks the event or did not answer. A
	// node that is stuck does not count.
	Open  bool         `json:"open"`
	Nodes []NodeReport `json:"nodes"`
}

// NodeReport is what became of an event at one node.
type NodeReport struct {
	Node    string                   `json:"node"`
	State   NodeState                `json:"state"`
	Targets map[string]OutcomeReport `json:"targets,omitempty"` // as in an [EventReport]
	Error   string                   `json:"error,omitempty"`   // of asking it
	// Stuck says that nothing more is tried at the targets that do not have the event,
	// until somebody acts. An agent of an earlier version does not say it.
	Stuck bool `json:"stuck,omitempty"`
}

// NodeState is a word for what became of an event at a node.
type NodeState string

const (
	NodeApplied NodeState = "applied" // each target took it, or was flushed after
	NodeWaiting NodeState = "waiting" // a target is still to have it
	NodeRefused NodeState = "refused" // a target refused it for good: it is buried
	NodeLost    NodeState = "lost"    // a target was not given it, and is not known to be flushed since
	NodeAbsent  NodeState = "absent"  // the node does not have it yet, or not any more
	NodeFailed  NodeState = "failed"  // serf takes the node for failed, and it has not answered
	NodeUnasked NodeState = "unasked" // the node did not answer
	NodeUnknown NodeState = "unknown" // the node cannot be asked: stock serf, or without links
)
