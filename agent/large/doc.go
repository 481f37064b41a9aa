// Package large brings events that are too large for gossip to all agents. Serf
// carries a [Reference] instead of such an event. An agent with only the reference
// asks other agents for the event.
//
//	reference ─► Want ─► had meanwhile? ─ no ─► the publisher, then others ─► Take
//	                                                └ nobody has it ─► Lost
//	Handle ◄─ the same question, of others
//
// # The promise
//
// While Run runs, each reference that Want gets has one of two ends. Either the
// node gets the event, by [Config.Take] or any other way, or Bodies calls
// [Config.Lost]. It calls Lost at once if it waits for too many events already, or
// if the agent has no links. Otherwise it calls Lost when nobody had the event
// within a minute.
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
// Bodies waits for at most 1,024 events. If one more is wanted, the origin with the most
// of them loses one, and events of the origin with the fewest are asked for first. The
// origin is the publisher that a reference names. All names of no peers are one origin,
// and so are all events that their publisher does not have.
//
// Run asks at most 100 questions and fetches at most 32 MiB a second. An event has at most
// 1 MiB.
//
// # Trust
//
// A reference names a member and never an address. A fetched event must have the
// hash and the size of its reference. If a member sends another event, Run does
// not ask it for that event again.
//
// A reference to an event that nobody has costs some small requests within a
// minute, and then a Lost. So anyone who can publish can make other agents flush. Losses
// that follow each other within 10 seconds are told together, so they cost one flush.
// If Run ends, it tells of those that are gathered. After a crash repair compares the
// journals, and fetches what a peer has.
package large
