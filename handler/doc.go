// Package handler takes an event from being known to being in the gateway. It
// knows nothing of serf: whoever learns of an [Event] appends it to a
// [Journal], and for each [Target] a [Delivery] posts the events that its
// [Filters] pick. A command that serf starts for each event has no journal: it
// makes the event with [FromScript] and brings it there with [Deliver].
//
//	Append ─► Journal ─► Cursor ─► Delivery ─► Poster ─► gateway
//	             │  one log, a cursor   └ retry, bury, ack
//	             └ history: requeue, outcomes, lookup by ID and Lamport time
//
// # Order
//
// The journal's order is that of Append. A target gets its events in that
// order, one in flight: the next is posted once the one before was answered
// with 2xx or buried. Targets run independently, and nothing orders them
// against each other. Events that are requeued come in their old order, before
// all newer ones that were not handed out yet. Where the target collapses, an
// event that equals one still waiting is joined to it, and comes to the target
// by that one alone.
//
// With a Target's Concurrency above 1 as many events are in flight at once,
// and the order is one for each key. What the key is, OrderKey says: the whole
// payload, or values in a JSON payload. An event is posted for the first time
// once all earlier ones of its key are through: taken by the target, or
// buried. An event without a key, and every member event, keeps order with
// all: it is posted once all before it are through, and nothing behind it is
// until it is through itself. Names of events are no part of the key.
//
// An event that fails holds its slot while it waits for its next attempt, so a
// gateway that is down is tried by no more at once than when it is well. A key
// that fails for ever therefore costs one slot, and as many such keys as there
// are slots stop the target. Beside such a key the others go on until the next
// event without a key, or until 1,000 events have been handed out by the
// journal and are not through: one in flight, and the others behind it. Events
// are handed out no sooner than a slot is free for them, or for one behind
// them. From then on an event is not given up, whatever waits and however old
// it is, and no later one is joined to it.
//
// # At least once
//
// An event is acknowledged after the target has answered 2xx, so a process
// that ends in between, or an answer that is lost, makes the event come again.
// Each POST carries the event's ID in X-Serf-Event-Id, which is the same for
// each repeat. If the target closes a kept connection without a byte of an
// answer, the request goes out again at once over another; that is no failure,
// but the target may get the event twice. No answer, 408, 425, 429 and 5xx are tried again, without end,
// after random waits whose ceiling doubles, or after what Retry-After asks for
// where that is longer. Any other answer is final: the event is buried, that
// is logged, counted and kept in a short list, and the next has its turn.
//
// An event whose ID the journal still holds is left out by Append, so what a
// restarted serf is sent again is not delivered again. Member events have IDs
// of their process, and so never match those of an earlier life. What has
// become of those that waited since then, Config.Revise can say: before
// the first POST of each member event it may put another body in its place, or
// drop it as outdated.
//
// # Blocking
//
// Append waits for no target, no network, no disk and no log: it takes a lock
// that is held for memory operations only. A slow or dead target costs other
// targets nothing. Delivery.Run stops within the time that cancelling a request
// takes, and the hooks of its Config.
//
// # Loss
//
// Events are lost where more wait for a target than the journal's limits
// allow: of those not handed out that target's oldest are given up, with those
// joined to them. So is one that is older than the target's MaxAge when its
// turn comes. Whoever loses events before it can append them, or cannot show
// that it lost none, says so with Gap, and they count as lost for every target.
// Losses are counted and logged, and the first opens a gap, which is kept with
// its time and reason until it is mended: by the target's [FlushRequest], or by
// an operator with Delivery.AcceptGap. Without a flush the state is stale until
// then, and events go on.
//
// A Journal journal ends with its process, and what waits in it too; a Disk goes
// on in the next process from its last commit, some milliseconds before the
// end: DESIGN.md tells what a crash at each point leads to. The retention of
// history never takes an event away from a target that still waits for it.
//
// # Flush
//
// While a gap is open no event is posted: the flush comes first, and is tried
// again, as an event is, until it is answered with 2xx. It never goes beside an
// attempt to post, whatever the Concurrency; but it waits for attempts only,
// and not for an event that is between two of them. It covers what was lost
// before it began: what is lost meanwhile makes for another. However many
// events a gap is of, one flush that goes well closes it. Where more keeps
// coming than the target takes, flushes follow each other after waits that
// double, as those of retries do, and events wait for them.
//
// What waits at a flush is posted all the same, in order. For a cache that was
// just emptied that is idle work and does no harm, but a target may do more
// with an event than forget a key, as Kong does with those of members.
//
// A flush that is refused for good, with an answer that would bury an event, is
// given up: the state is stale, the log says what to do, and events go on. It
// is asked for again when more was lost, at the earliest after a minute; by the
// next Delivery, as after a reload; or at once by Delivery.Flush.
//
// Where the flush is the target's last event once more ([FlushRequest] with
// LastEvent) that event waits again, in its old place, and the gap is closed.
//
// # What is posted
//
// What the target says, see [Target]; a [Preset] is a Target for one kind of
// gateway. Templates are read when a Poster is made, and each placeholder is
// escaped for its place: scheme, host and the names of headers are the same for
// all events, the method is one of those that the target has in it, and a value
// of an event stays within its segment of the path, its part of the query, its
// header, its quotes, or its JSON value. An event of which that makes no whole
// request is buried, and nothing is sent.
//
// The body of a user event or query is its payload, byte for byte; that of a
// member event is Kong's JSON, see [Event.Body]. The headers are Content-Type:
// application/json, User-Agent, X-Serf-Event (the type), X-Serf-Event-Id, and
// for user events and queries X-Serf-Event-Name and X-Serf-Event-Ltime. Names
// are chosen by strangers: in headers "%", blanks at either end and all bytes
// that are not printable ASCII are written %XX, and what passes 1,024 bytes is
// cut. In logs control characters are escaped.
package handler
