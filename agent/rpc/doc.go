// Package rpc is the server of serf's RPC protocol. The serf program, the client
// libraries and agentctl's own commands talk to it. The messages are those of
// package wire; this package is the conversation.
//
// # Order
//
// A connection handles its requests one at a time, in the order in which they
// came, each to its end. So a client can send an event right after a join: the
// join comes first. Connections do not wait for each other. Streams, monitors and
// the answers to queries go on while a slow request runs.
//
// A stream starts before its request is answered, and its records are held back
// until the answer is on its way. So no event between the two is missing, and
// none comes ahead of the answer. After the answer to a stop, no record of the
// stopped stream follows. Unlike stock serf's, a stop also ends a query.
//
// # Blocking
//
// The agent calls the functions that it got in SubscribeEvents and
// SubscribeLogs. They never wait for a client, a socket or a log line, but
// append to bounded queues. Each connection has a goroutine for reading and
// handling requests, one for writing, and one for each running query. Nothing in
// this package logs from inside a subscription, so a monitor never feeds itself.
//
// # Loss
//
// Each stream has a queue that is bounded in records. The bytes in queues are bounded,
// too: 8 MiB for all streams of a connection, 64 MiB for those of a client, and 128 MiB
// for all. A connection always has room for 64 KiB, whatever others leave unread.
//
// A record that does not fit is
// dropped, counted and logged. A monitor also gets a line there that says how
// many lines are missing. Streams are live and best effort: a program that must
// see each event reads the journal.
//
// Answers to requests and to queries are never dropped; they hold up the next
// ones instead. A client is disconnected if it does not take the next 64 KiB
// within ten seconds.
//
// An agent that was told to leave ends once the client has gone, or 15 ms after its
// answer. A client may report an error if the connection ends right behind the answer.
//
// # Limits
//
// The server has 1,024 connections at a time, 768 of them from one address. A
// connection has up to 64 streams, monitors and running queries, a client 512, and all
// clients have 1,024, since each event is looked at for every one of them.
//
// Of requests larger than 64 KiB the server reads 64 at a time, 16 of them from one
// address. Others wait for their turn.
//
// Where there is no room for a newcomer, the server ends a connection that waits for
// its client, as package admission says. With a key, those are the connections that
// have not shown it. Without a key, those are the ones without a request, a stream or
// a query. If none waits, the newcomer is refused.
//
// Before the handshake, and before the auth if there is a key, a client may send
// only small messages. It may also send only a few requests that are refused,
// and has ten seconds. The server answers a wrong key after 100 ms. In that time it
// looks at 16 keys of one client, over all its connections, and delays the answers to
// 1,024 wrong keys in all. A right key never waits for wrong keys of other clients.
package rpc
