package api

import (
	"time"

	"agentctl/handler"
)

// EventReport is an event of the history.
type EventReport struct {
	Seq   uint64       `json:"seq"`
	ID    string       `json:"id"`
	Time  time.Time    `json:"time"` // when this node first knew of it
	Type  handler.Type `json:"type"`
	Name  string       `json:"name,omitempty"`
	LTime uint64       `json:"ltime,omitempty"`
	Size  int          `json:"size"` // bytes of the payload

	// The payload is in the first field if it is valid UTF-8, else in the second.
	Payload       string `json:"payload,omitempty"`
	PayloadBase64 []byte `json:"payload_base64,omitempty"`

	// Targets has an outcome for each target that the event was for, by name.
	Targets map[string]OutcomeReport `json:"targets"`
}

// Bytes is the payload.
func (e *EventReport) Bytes() []byte {
	if len(e.PayloadBase64) > 0 {
		return e.PayloadBase64
	}
	return []byte(e.Payload)
}

// OutcomeState is a word for what became of an event at a target.
type OutcomeState string

const (
	OutcomeWaiting   OutcomeState = "waiting"   // or on its way to the target
	OutcomeDelivered OutcomeState = "delivered" // the target took it
	OutcomeBuried    OutcomeState = "buried"    // the target refused it for good
	OutcomeLost      OutcomeState = "lost"      // it was given up
	OutcomeOutdated  OutcomeState = "outdated"  // it was not posted, as it was no longer true
	// OutcomeFlushed is only in the answer for all nodes: the target lost the
	// event, and was flushed after.
	OutcomeFlushed OutcomeState = "flushed"
)

// OutcomeReport is what became of an event at a target.
type OutcomeReport struct {
	State OutcomeState `json:"state"`
	// Time is that of the delivery, burial or loss, or when the event was found to
	// be outdated. It is absent while the event waits, and if an earlier process
	// settled the event.
	Time   time.Time `json:"time,omitzero"`
	Status int       `json:"status,omitempty"` // of the answer, if it is known
	// Into is the ID of the equal event that this one was joined to.
	Into string `json:"into,omitempty"`

	// Reason says why an event is buried, and Answer has the first bytes of the
	// target's answer. Both are only in the answer for one event. In the answer
	// for all nodes, Reason also says why an event waits, or why a lost one is not
	// flushed.
	Reason string `json:"reason,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// EventPage is the answer of GET /v1/events, oldest first.
type EventPage struct {
	Events []EventReport `json:"events"`
	// More says that there are others: newer ones if the request had "after",
	// else older ones.
	More bool `json:"more"`
}

// FollowedEvent is a line of the stream that GET /v1/events?follow=1 answers. It is
// an event, or the number of missed events: the follower read too slowly, and the
// history let go of them.
type FollowedEvent struct {
	*EventReport
	Missed uint64 `json:"missed,omitempty"`
}

// PublishRequest is the body of POST /v1/events if the query names no event. The
// payload is in one of the two fields.
type PublishRequest struct {
	Name          string `json:"name"`
	Payload       string `json:"payload,omitempty"`
	PayloadBase64 []byte `json:"payload_base64,omitempty"`
	// Coalesce allows scripts and RPC streams to be given only the newest event of
	// this name. Targets get each all the same.
	Coalesce bool `json:"coalesce,omitempty"`
}

// PublishReport is the answer of POST /v1/events: this node has taken the event
// and sends it to the cluster. It does not say that others have it.
type PublishReport struct {
	ID    string `json:"id"` // the same on every node
	Name  string `json:"name"`
	LTime uint64 `json:"ltime"`
	// Unreached are the members that are known not to get the event, since it is
	// over serf's limit. Warning says so in words.
	Unreached []string `json:"unreached,omitempty"`
	Warning   string   `json:"warning,omitempty"`
	// Durable is in the answer to a durable publish. The status is 200 if it was
	// reached, else 202.
	Durable *DurableReport `json:"durable,omitempty"`
}

// DurableReport says which nodes have an event in a journal that is synced to the disk.
// An event of which fewer have it than were wanted is published all the same: it must
// not be sent again.
type DurableReport struct {
	Wanted int      `json:"wanted"` // nodes, at most [MaxDurable]
	Have   int      `json:"have"`   // nodes
	Nodes  []string `json:"nodes"`  // those that have it
	// Missing says of other nodes that were asked why they are not known to have it.
	Missing map[string]string `json:"missing,omitempty"`
}
