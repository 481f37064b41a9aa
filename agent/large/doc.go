// Package large brings events to all agents that are too large for gossip. In
// an event's place serf carries a [Reference] to it; an agent that has only
// that asks those for the event who have it.
//
//	reference ─► Want ─► had meanwhile? ─ no ─► the publisher, then others ─► Take
//	                                                └ nobody has it ─► Lost
//	Handle ◄─ the same question, of others
//
// # The promise
//
// For each reference that Want was given while Run runs, the event comes to be
// had, by [Config.Take] or any other way, or [Config.Lost] is called: at once
// where too many are waited for, else once nobody had it within a minute.
//
// # Order
//
// An event takes its place when its payload has come. So what is fetched comes
// late, and in no order to what comes by other ways.
//
// # Blocking
//
// Want and Refuse take a lock for memory operations and never wait. Handle
// answers from memory. Run fetches a few events at a time.
//
// # Trust
//
// A reference names a member and never an address, and what comes must have its
// hash and size. One that nobody has the event of costs some small requests in
// the course of a minute, and then a Lost: whoever can publish can make others
// flush. A member that sends another event than was asked for is not asked for
// it again. How many are waited for is bounded, and so are questions and bytes a
// second.
package large
