// Package repair brings an agent the events that gossip and links lost. At
// random times it compares its journal with those of a few other agents, mostly near ones
// (see [Config]), by digests of ranges of Lamport times. It fetches the events that it lacks.
// DESIGN.md beside this file has the protocol, and the reasons why it is enough.
//
//	Run ─► round ─► a peer: same? ─ no ─► digests ─► IDs ─► events ─► Take
//	                        └ trimmed before it was compared ─► Gap
//	Handle ◄─ the same questions, of others
//
// # The promise
//
// The promise is about an event that was published after this node was born, and
// that a reachable peer has. Some rounds later, either the event is in this
// node's journal, or [Config.Gap] has been called since the event was published.
//
// A node is born when it begins with an empty journal, and again at each Gap.
// Repair does not fetch older events, except those with Lamport times from the
// node's base on. A fresh or flushed gateway has nothing that an older event
// could invalidate.
//
// Repair cannot bring an event that no agentctl agent has. Perhaps only stock
// agents have it. Or its publisher ended before it wrote the event or passed it on.
//
// # Order and repeats
//
// Events come late, by Lamport time within a page, and in no order to other
// events. An event comes again only if the journal has forgotten it (see [Store]).
// That can happen after a restart.
//
// # Blocking
//
// Run asks one peer after the other. It waits 2 seconds for one, and then asks others
// beside it, 8 at a time at most. Handle answers from
// memory within a millisecond or so. [Repair.Kick] and [Repair.Meet] never wait.
//
// # Loss
//
// Repair loses no fetched event: an event counts as compared only once it is in
// the journal. A peer may have let go of events that nobody compared. If the records of
// the two nodes do not show that this node had them, repair calls Gap, and the targets are
// flushed. How often that happens does not depend on how many nodes there are. If it
// happens again and again for the sake of one peer, its doubts wait up to 16 minutes and
// share one flush.
//
// # Limits
//
// A node fetches at most 5,000 events and 4 MiB a second. A comparison takes at most
// two minutes, and 15 seconds if it brings nothing. The node answers four requests at
// a time and refuses more. It remembers the watermarks of 16,384 peers, and keeps those of
// 1,024 for the next process. Its record of what was in the log has up to 3,072 blocks.
//
// # Trust
//
// Repair believes a peer only about the peer's own log, and only what can be. A lying
// peer can hide an event that nobody else has, and can make a node flush at times. It cannot
// hide an event that an honest peer has. No message of a peer costs more memory than
// the limits allow.
package repair
