// Package rpc is the server of serf's RPC protocol: what the serf program, the
// client libraries and agentctl's own commands talk to. The messages are those
// of package wire; this package is the conversation.
//
// # Order
//
// The requests of one connection are handled one after the other, in the order
// in which they came, each to its end before the next: a client that pipelines
// an event behind a join knows that the join came first. Connections do not
// wait for each other. Streams, monitors and the answers to queries go on while
// a slow request runs.
//
// A stream starts before its request is answered, and its records are held
// back until the answer is on its way: no event between the two is missing, and
// none comes ahead of the answer. After the answer to a stop, no record of the
// stopped stream follows. Unlike stock serf's, a stop also ends a query.
//
// # Blocking
//
// What the agent calls (the functions given to SubscribeEvents and
// SubscribeLogs) never waits for a client, a socket or a log line: it appends
// to bounded queues. Each connection has one goroutine that reads and handles
// requests, one that owns the writing side, and one for each running query.
// Nothing in this package logs from inside a subscription, so that a monitor
// never feeds itself.
//
// # Loss
//
// A stream has a queue bounded in records and, with the others of its
// connection, in bytes. What does not fit is dropped, the newest first, counted
// and logged; a monitor also gets a line at that point that says how many are
// missing. Streams are live and best effort: who must see each event reads the
// journal. Answers to requests and to queries are never dropped: they hold up
// the next ones instead, and a client that takes nothing for the write timeout
// is disconnected.
//
// # Limits
//
// Before the handshake, and the auth where there is a key, a client may send
// only small messages, a few refused requests, and for a limited time. Wrong
// keys are answered late, and only a few at a time over all connections.
package rpc
