package api

// RecipientsReport is the answer of GET /v1/recipients: who would get a user event of a
// name, if it was published now.
type RecipientsReport struct {
	Name string `json:"name"`
	// Complete says that every node has answered.
	Complete bool              `json:"complete"`
	Nodes    []RecipientReport `json:"nodes"` // by name, as in a [NodesReport]
}

// RecipientReport is which targets of a node the event is for.
type RecipientReport struct {
	Node    string    `json:"node"`
	State   NodeState `json:"state"`             // NodeAnswered, or why the targets are not known
	Targets []string  `json:"targets,omitempty"` // by name
	Error   string    `json:"error,omitempty"`   // of asking it
}

// NodeAnswered is the state of a node that has named its targets. It is only in a
// [RecipientsReport].
const NodeAnswered NodeState = "answered"
