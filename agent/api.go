package agent

import (
	"fmt"
	"time"
	"unicode/utf8"

	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// The HTTP API of the operations endpoint, version 1: its limits, and its
// bodies as JSON. An answer other than 2xx is an [ErrorReport].
const (
	// DefaultPage and MaxPage are how many events one request lists.
	DefaultPage, MaxPage = 100, 10_000
	// MaxPageBytes bounds the payloads of a page; one event always fits.
	MaxPageBytes = 16 << 20
	// MaxFollowers bounds the clients that follow the events.
	MaxFollowers = 16
	// MaxSearches bounds the requests that search the journal at a time;
	// others wait for a while.
	MaxSearches = 4
	// MaxConns bounds the connections; further ones wait to be accepted.
	MaxConns = 64
	// MaxNodesWait is how long one request waits for all nodes at most, and
	// MaxWaiting how many requests do so at a time.
	MaxNodesWait, MaxWaiting = 20 * time.Second, 16
	// MaxReplayIDs bounds the IDs that a replay names.
	MaxReplayIDs = 10_000
	// maxRequest bounds a request's body, in bytes. The largest event fits in
	// base64.
	maxRequest = 2 << 20
)

// ErrorReport says what was wrong, and what to do.
type ErrorReport struct {
	Error string `json:"error"`
}

// StatusReport is the answer of GET /v1/status.
type StatusReport struct {
	Node    string         `json:"node"`
	Version string         `json:"version"`
	State   string         `json:"state"` // serf's: alive, leaving, left or shutdown
	Joined  bool           `json:"joined"`
	Members map[string]int `json:"members"` // by status
	Journal JournalReport  `json:"journal"`
	Targets []TargetReport `json:"targets"`
}

// TargetReport is how a target stands.
type TargetReport struct {
	delivery.Status
	// BuriedNow counts the events that are buried and kept; Status.Buried all
	// burials since the agent began, of events that may have gone through since.
	BuriedNow int `json:"buried_now"`
}

// JournalReport is how the journal stands.
type JournalReport struct {
	Head     uint64    `json:"head"`     // sequence number of the newest event
	Retained uint64    `json:"retained"` // events of the history
	Oldest   time.Time `json:"oldest,omitzero"`
	// DataDir and Disk are absent where the journal is in memory.
	DataDir string       `json:"data_dir,omitempty"`
	Disk    *disk.Status `json:"disk,omitempty"`
}

// EventReport is an event of the history.
type EventReport struct {
	Seq   uint64       `json:"seq"`
	ID    string       `json:"id"`
	Time  time.Time    `json:"time"` // when this node first knew of it
	Type  handler.Type `json:"type"`
	Name  string       `json:"name,omitempty"`
	LTime uint64       `json:"ltime,omitempty"`
	Size  int          `json:"size"` // bytes of the payload

	// The payload is in the first where it is valid UTF-8, else in the second.
	Payload       string `json:"payload,omitempty"`
	PayloadBase64 []byte `json:"payload_base64,omitempty"`

	// Targets has an outcome for each target that the event was for, by name.
	Targets map[string]OutcomeReport `json:"targets"`
}

// OutcomeReport is what became of an event at a target.
type OutcomeReport struct {
	State journal.OutcomeState `json:"state"`
	// Time is that of the delivery, burial or loss, or when it was found to be
	// outdated; absent while the event
	// waits, and where that was in an earlier process.
	Time   time.Time `json:"time,omitzero"`
	Status int       `json:"status,omitempty"` // of the answer, where it is known
	// Into is the ID of the equal event that this one was joined to.
	Into string `json:"into,omitempty"`

	// Of a buried event, only in the answer for one event: why, and the first
	// bytes of the answer. In that for all nodes also of one that waits: why.
	Reason string `json:"reason,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// OutcomeFlushed is the state, among those of other nodes, of an event that a
// target lost, and that it was flushed after.
const OutcomeFlushed journal.OutcomeState = "flushed"

// NodesReport is the answer of GET /v1/events/{id}/nodes: what became of an
// event at each member that has not left, by name.
type NodesReport struct {
	ID string `json:"id"`
	// Applied says that every node's targets took the event, or were flushed
	// after they had lost it. A node without a target for it has nothing to apply.
	Applied bool `json:"applied"`
	// Open says that it may still change: something waits, or could not be asked.
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

// open tells whether it may change by itself soon.
func (s NodeState) open() bool {
	switch s {
	case NodeWaiting, NodeAbsent, NodeFailed, NodeUnasked, NodeLost:
		return true
	}
	return false
}

// Bytes is the payload.
func (e *EventReport) Bytes() []byte {
	if len(e.PayloadBase64) > 0 {
		return e.PayloadBase64
	}
	return []byte(e.Payload)
}

// newEventReport is the report of an event without its outcomes.
func newEventReport(rec *journal.Record) EventReport {
	e := &rec.Event
	r := EventReport{
		Seq: rec.Seq, ID: e.ID, Time: e.Time, Type: e.Type, Name: e.Name, LTime: e.LTime,
		Size: len(e.Payload), Targets: map[string]OutcomeReport{},
	}
	if utf8.Valid(e.Payload) {
		r.Payload = string(e.Payload)
	} else {
		r.PayloadBase64 = e.Payload
	}
	return r
}

// EventPage is the answer of GET /v1/events, oldest first.
type EventPage struct {
	Events []EventReport `json:"events"`
	// More says that there are others: newer ones where the request had
	// "after", older ones where it had not.
	More bool `json:"more"`
}

// FollowedEvent is a line of the stream that GET /v1/events?follow=1 answers:
// an event, or how many the follower has missed, since it read too slowly and
// the history let go of them.
type FollowedEvent struct {
	*EventReport
	Missed uint64 `json:"missed,omitempty"`
}

// ReplayRequest is the body of POST /v1/replay: a target, and exactly one of
// IDs, Since, Buried, Flush and AcceptGap.
type ReplayRequest struct {
	Target string   `json:"target"`
	IDs    []string `json:"ids,omitempty"`   // posted even if they are not true any more
	Since  string   `json:"since,omitempty"` // see [ParseSince]
	Buried bool     `json:"buried,omitempty"`
	// Limit is how many events are replayed, the oldest; 0: all.
	Limit  int  `json:"limit,omitempty"`
	DryRun bool `json:"dry_run,omitempty"`

	// Flush asks for the target's flush. AcceptGap says that its gateway is
	// fresh, whatever events it lacks. Neither replays an event.
	Flush     bool `json:"flush,omitempty"`
	AcceptGap bool `json:"accept_gap,omitempty"`
}

// ReplayReport is the answer of POST /v1/replay and of GET /v1/replay/{id}.
type ReplayReport struct {
	ID     uint64 `json:"id,omitempty"` // absent where nothing was replayed
	Target string `json:"target"`
	Events int    `json:"events"`         // that are replayed, or would be
	Left   int    `json:"left,omitempty"` // newer ones, beyond the limit
	// First and Last are the times of the oldest and the newest of them.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`

	// What became of them so far. Lost ones were given up: see the status of
	// the target. Outdated ones were not posted, as they were not true any
	// more. Of the unknown the history let go before anybody asked, or their
	// target is gone.
	Waiting   int `json:"waiting"`
	Delivered int `json:"delivered"`
	Buried    int `json:"buried"`
	Lost      int `json:"lost"`
	Outdated  int `json:"outdated"`
	Unknown   int `json:"unknown"`

	// GapSince is since when the gap was that was accepted; absent without one.
	GapSince time.Time `json:"gap_since,omitzero"`
}

// ParseSince reads a point in time: RFC 3339, the same without the zone or
// without the time of day (then local), or a duration, which goes back from now.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return time.Time{}, fmt.Errorf("%q lies in the future: leave out the minus sign", text)
		}
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 15m or 24h nor a time such as %s", text, now.Format(time.RFC3339))
}
