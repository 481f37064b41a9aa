package api

import "time"

// ClusterReport is the answer of GET /v1/cluster: what each member says of itself, as far as
// the node that was asked could learn it within some seconds.
type ClusterReport struct {
	Node string    `json:"node"` // that was asked
	Time time.Time `json:"time"` // of the answer, by that node's clock, as all times in it
	// Well, NotWell, Stock, Former and Left count the members. Each member counts once, as
	// its MemberReport says it.
	Well    int `json:"well"`
	NotWell int `json:"not_well"`
	Stock   int `json:"stock"`
	Former  int `json:"former"`
	Left    int `json:"left"`

	Members []MemberReport `json:"members"` // by name
}

// MemberReport is what is known of a member.
type MemberReport struct {
	Node   string `json:"node"`
	Addr   string `json:"addr,omitempty"`
	Status string `json:"status"` // serf's word, as the node that was asked sees the member
	// Protocol is the highest version of serf's protocol that the member says it speaks.
	Protocol int         `json:"protocol,omitempty"`
	Answer   AnswerState `json:"answer"`
	Error    string      `json:"error,omitempty"` // why it did not answer
	// ServedBy are the agents that bring events to a stock member, as the node that was
	// asked knows. If it is absent, each publisher does, or, with ByGossip, gossip alone.
	ServedBy []string `json:"served_by,omitempty"`
	ByGossip bool     `json:"by_gossip,omitempty"`
	// Problems are all that is not well: what the member says itself, and what the node
	// that was asked sees.
	Problems []Problem `json:"problems,omitempty"`
	// Says is the member's own answer; absent without one.
	Says *OwnStatus `json:"says,omitempty"`
}

// AnswerState is a word for what came of asking a member how it is.
type AnswerState string

const (
	AnswerGiven  AnswerState = "answered"
	AnswerNone   AnswerState = "silent" // it did not answer: Error says why
	AnswerStock  AnswerState = "stock"  // it is no agent, or one without peer links: nobody can ask it
	AnswerFormer AnswerState = "former" // an agent of a version that does not know the question
	AnswerFailed AnswerState = "failed" // serf takes it for failed, and it has not answered
	AnswerLeft   AnswerState = "left"   // it has left, so it was not asked
)

// Limits of an [OwnStatus].
const (
	MaxOwnTargets  = 32  // the worst ones; More counts the others
	MaxOwnProblems = 16  // the first ones
	MaxOwnText     = 300 // bytes of each text
)

// OwnStatus is how a member is, by its own words.
type OwnStatus struct {
	Version string         `json:"version"`
	State   string         `json:"state"`   // serf's: alive, leaving, left or shutdown
	Members map[string]int `json:"members"` // that it counts, by status
	Links   int            `json:"links"`   // open peer links
	// Targets are in the order of their state, the worst first.
	Targets []OwnTarget `json:"targets"`
	More    int         `json:"more_targets,omitempty"` // beyond these
}

// OwnTarget is how one of its targets stands: see [TargetReport].
type OwnTarget struct {
	Target        string      `json:"target"`
	State         TargetState `json:"state"`
	Since         time.Time   `json:"since,omitzero"`
	LastError     string      `json:"last_error,omitempty"` // only if the state is not ok
	Waiting       int         `json:"waiting"`
	OldestWaiting time.Time   `json:"oldest_waiting,omitzero"`
	LastDelivered time.Time   `json:"last_delivered,omitzero"`
	Delivered     uint64      `json:"delivered"`
	P99           float64     `json:"p99_seconds,omitempty"` // of the last deliveries
	Lost          uint64      `json:"lost"`
	Flushes       uint64      `json:"flushes"`
}
