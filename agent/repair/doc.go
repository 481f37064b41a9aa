// Package repair brings an agent the events that gossip and links lost. At
// random times it compares its journal with those of a few other agents, by
// digests of ranges of Lamport times, and fetches what it lacks. DESIGN.md
// beside this file has the protocol, and the reasons why it is enough.
//
//	Run ─► round ─► a peer: same? ─ no ─► digests ─► IDs ─► events ─► Take
//	                        └ trimmed before it was compared: others? ─ no ─► Gap
//	Handle ◄─ the same questions, of others
//
// # The promise
//
// An event that was published after this node was born is, some rounds after
// it can reach a peer that has it, in this node's journal, or [Config.Gap] has
// been called since the event was published. A node is born when it begins with
// an empty journal, and again at each Gap. What is older it does not fetch,
// but for what has Lamport times from its base on: a gateway that is fresh, or
// flushed, has nothing of it to invalidate.
//
// The promise is about events that an agent of this kind has: what only stock
// agents have, or one that ends before it wrote it or passed it on, is not
// known to anyone who could be asked.
//
// # Order and repeats
//
// Events come late, by Lamport time within a page, and in no order to what
// comes by other ways. An event comes again only where the journal has
// forgotten that it had it (see [Store]), which a restart makes possible.
//
// # Blocking
//
// Run asks one peer at a time and waits for nothing else. Handle answers from
// memory within a millisecond or so, and refuses when more than a few requests
// come at a time. Kick never waits.
//
// # Trust
//
// A peer is believed: one that lies can keep a node from what it lacks, and can
// make it flush. Nothing that it sends costs more memory than the limits allow.
package repair
