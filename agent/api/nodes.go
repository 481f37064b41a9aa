package api

// NodesReport is the answer of GET /v1/events/{id}/nodes: what became of an
// event at each member that has not left, by name.
type NodesReport struct {
	ID string `json:"id"`
	// Applied says that every node's targets took the event, or were flushed
	// after they had lost it. A node without a target for it has nothing to apply.
	Applied bool `json:"applied"`
	// Open says that the answer may still change: the event waits somewhere or
	// waits for a flush, or a member is down, lacks the event or did not answer.
	Open  bool         `json:"open"`
	Nodes []NodeReport `json:"nodes"`
}

// NodeReport is what became of an event at one node.
type NodeReport struct {
	Node    string                   `json:"node"`
	State   NodeState                `json:"state"`
	Targets map[string]OutcomeReport `json:"targets,omitempty"` // as in an [EventReport]
	Error   string                   `json:"error,omitempty"`   // of asking it
}

// NodeState is a word for what became of an event at a node.
type NodeState string

const (
	NodeApplied NodeState = "applied" // each target took it, or was flushed after
	NodeWaiting NodeState = "waiting" // a target is still to have it
	NodeRefused NodeState = "refused" // a target refused it for good: it is buried
	NodeLost    NodeState = "lost"    // a target was not given it, and not flushed yet
	NodeAbsent  NodeState = "absent"  // the node does not have it yet, or not any more
	NodeFailed  NodeState = "failed"  // the node is down; it fetches the event once it is back
	NodeUnasked NodeState = "unasked" // the node did not answer
	NodeUnknown NodeState = "unknown" // the node cannot be asked: stock serf, or without links
)
