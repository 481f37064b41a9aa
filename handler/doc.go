// Package handler defines the events of the cluster, and the filters that pick
// some of them. The packages below it carry an event from the moment a node knows
// of it to the moment its gateway has it. None of them knows serf's code.
//
//	intake ─► journal ─► cursor ─► delivery ─► Poster ─► gateway
//	             │  one log, a cursor   └ retry, bury, flush
//	             └ history: requeue, outcomes, lookup by ID and Lamport time
//
// # The map of this folder
//
//   - handler: [Event], [Type] and [Filters], and serf's grammar for them.
//   - text: strangers' words made fit for logs, headers and terminals.
//   - template: a text with placeholders that an event cannot leave.
//   - target: a gateway's endpoint, the presets, and one attempt to post to it.
//   - journal: the log in memory, with a cursor for each target.
//   - journal/boltfile: a bbolt file, read without trusting it.
//   - journal/disk: a journal that is kept in a file.
//   - delivery: brings a cursor's events to its target: order, retry, flush.
//   - shim: the event of a script's environment and standard input.
//   - probe: tells when a server that refused connections takes them again.
//   - http1: requests to one server, on connections that are kept.
//   - socket: reads and writes of sockets that cost less.
//   - backoff, varint, queue: small tools that other folders use as well.
//
// A package imports only packages above it in this list, the small tools, and
// leaves of the folder agent, such as agent/logs. The table in scripts/architecture
// has each import. Each package states its promises in its own doc.go. The journal
// and its file also have a DESIGN.md.
//
// # What an event is
//
// An [Event] has a type. User events and queries also have a name, a Lamport time
// and a payload. Strangers choose names and payloads, so these may hold any bytes.
// A member event has serf's member lines as its payload; [Event.Body] turns them
// into Kong's JSON. Nobody changes an event after it was made, so goroutines may
// share it.
//
// Every event has an ID:
//
//   - The ID of a user event is LTIME-HASH. HASH is the first 8 bytes, in hex, of the
//     SHA-256 over its name, a zero byte and its payload. So the ID is the same on
//     every node and for every retry and replay.
//   - A query's ID has the prefix "query-".
//   - Each node makes its own IDs of member events. They mean nothing elsewhere.
//
// # Glossary
//
//   - Acknowledge: tell the cursor that the target took an event.
//   - Attempt: one request for an event or a flush, from dialling to the answer.
//   - Buried: refused by the target for good, and kept for a while with the reason.
//   - Collapse: join an event to an equal one that still waits.
//   - Cursor: what one target has yet to get from the journal.
//   - Filter epoch: the range of events for which a cursor had one set of filters.
//   - Flush: the request that makes a target forget everything.
//   - Gap: the losses of a target, known or possible, until a flush or an operator closes it.
//   - Handed out: taken from the cursor, and not settled yet.
//   - History: the events that the journal retains, delivered or not.
//   - ID: the name of an event; see above.
//   - Incarnation: one process of an agent, from its start to its end.
//   - Journal: one log of events, with a cursor for each target.
//   - Joined: standing behind an equal event, the leader, whose outcome it shares.
//   - Lamport time: serf's logical clock, which orders user events in the cluster.
//   - Lane: the events of one order key, which go to the target one after another.
//   - Leader: the event that is posted in place of those joined to it.
//   - Lost: given up, because too many events waited or one waited for too long.
//   - Outcome: what became of an event for one target.
//   - Pending: handed out, or waiting to be.
//   - Pending exception: an event that is pending although the filters do not say so.
//   - Position: the first sequence number of a cursor that is not settled.
//   - Poster: makes one attempt.
//   - Preset: a target for one kind of gateway, less the address.
//   - Requeue: make an event wait once more, in its old order.
//   - Settled: delivered, buried, lost or outdated; the opposite of pending.
//   - Settled exception: a range above the position that is settled nevertheless.
//   - Target: the endpoint of a gateway, and how to post events to it.
//   - Watermark, of a gap: a number that grows with each loss, to match a flush with a gap.
package handler
