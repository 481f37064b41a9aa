// Package large brings events that are too large for gossip to all agents. Serf
// carries a [Reference] instead of such an event. An agent that has only the
// reference asks agents that have the event.
//
//	reference ─► Want ─► had meanwhile? ─ no ─► the publisher, then others ─► Take
//	                                                └ nobody has it ─► Lost
//	Handle ◄─ the same question, of others
//
// # The promise
//
// While Run runs, each reference that Want gets has one of two ends. Either the
// node gets the event, by [Config.Take] or any other way, or [Config.Lost] is
// called. Lost is called at once if too many events are waited for or the agent
// has no links. Otherwise it is called when nobody had the event within a
// minute.
//
// # Order
//
// An event gets its position in the order when its payload has come. So a
// fetched event comes late, and in no order to other events.
//
// # Blocking
//
// Want and Refuse take a lock for memory operations and never wait. Handle
// answers from memory. Run fetches four events at a time.
//
// # Limits
//
// At most 1,024 events are waited for. Run asks at most 100 questions and
// fetches at most 32 MiB a second. An event has at most 1 MiB.
//
// # Trust
//
// A reference names a member and never an address. A fetched event must have the
// hash and the size of its reference. A member that sends another event than was
// asked for is not asked for that event again.
//
// A reference to an event that nobody has costs some small requests in the
// course of a minute, and then a Lost. So anyone who can publish can make other
// agents flush.
package large
