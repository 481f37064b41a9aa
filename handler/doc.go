// Package handler takes an event from being known to being in the gateway. It
// knows nothing of serf: whoever learns of an [Event] appends it to a
// [Journal], and for each [Target] a [Delivery] posts the events that its
// [Filters] pick. A command that serf starts for each event has no journal: it
// makes the event with [FromScript] and brings it there with [Deliver].
//
//	Append ─► Journal ─► Cursor ─► Delivery ─► Poster ─► gateway
//	             │  one log, a cursor   └ retry, bury, ack
//	             └ history: replay, lookup by Lamport time
//
// # Order
//
// The journal's order is that of Append. A target gets its events in that
// order, one in flight: the next is posted once the one before was answered
// with 2xx or buried. Targets run independently, and nothing orders them
// against each other. A replay begins again at an earlier place and goes on
// from there in order.
//
// # At least once
//
// An event is acknowledged after the target has answered 2xx, so a process
// that ends in between, or an answer that is lost, makes the event come again.
// Each POST carries the event's ID in X-Serf-Event-Id, which is the same for
// each repeat. No answer, 408, 425, 429 and 5xx are tried again, without end,
// after random waits whose ceiling doubles, or after what Retry-After asks for
// where that is longer. Any other answer is final: the event is buried, that
// is logged, counted and kept in a short list, and the next has its turn.
//
// An event whose ID the journal still holds is left out by Append, so what a
// restarted serf is sent again is not delivered again. Member events have IDs
// of their process, and so never match those of an earlier life.
//
// # Blocking
//
// Append waits for no target, no network, no disk and no log: it takes a lock
// that is held for memory operations only. A slow or dead target costs other
// targets nothing. Delivery.Run stops within the time that cancelling a request
// takes.
//
// # Loss
//
// Events are lost where more wait for a target than the journal's limits
// allow: that target's oldest waiting events are given up. Whoever loses events
// before it can append them says so with Gap, and they count as lost for every
// target. They are counted and logged, the target's state becomes stale, and
// the time of the first loss is kept: a proven gap, which only a flush of the
// gateway can mend. A Memory journal ends with its process, and what waits in
// it too; a Disk goes on in the next process from its last commit, some
// milliseconds before the end: DESIGN.md tells what a crash at each point leads
// to. The retention of history never takes an event away from a target that
// still waits for it.
//
// # What is posted
//
// The body of a user event or query is its payload, byte for byte; that of a
// member event is Kong's JSON, see [Event.Body]. The headers are Content-Type:
// application/json, User-Agent, X-Serf-Event (the type), X-Serf-Event-Id, and
// for user events and queries X-Serf-Event-Name and X-Serf-Event-Ltime. Names
// are chosen by strangers: in headers "%", blanks at either end and all bytes
// that are not printable ASCII are written %XX, and what passes 1,024 bytes is
// cut. In logs control characters are escaped.
package handler
