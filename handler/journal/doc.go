// Package journal is one log of events, in memory, with a cursor for each target.
//
// A [Journal] numbers events from 1, in the order of Append, without holes. A
// [Cursor] hands out those that pass its filters, in that order, and remembers
// which are settled. The history, the events that the journal retains, also
// serves lookups by ID, number and Lamport time, and [Cursor.Requeue]. DESIGN.md
// states the promises in full, with the reasons.
//
// # Order
//
// A cursor hands out events in the order of their numbers. Acknowledgements may
// come in any order. An event that is requeued waits in its old order again:
// before all newer events that were not handed out yet. With [CursorConfig]'s
// Collapse, an event that equals one still waiting is joined to it, and comes to
// the target by that one alone.
//
// # At least once
//
// An event stays with a cursor until it is settled: acknowledged, buried, given
// up or outdated. Append leaves out an event whose ID the journal still holds, so
// an event that serf sends again is not delivered again. Member events have IDs
// of their process, and so never match those of an earlier incarnation.
//
// # Blocking
//
// Append and all other methods wait for no target, no network, no disk and no
// log. They take a lock that is held for memory operations only. Two of them wait:
// Cursor.Next for an event, and Journal.Close for the file, if there is one. The
// iterators hold no lock while their caller works.
//
// # Loss
//
// The limits of [Config] bound the history, and separately the pending events of
// each target. The retention of the history never takes an event away from a
// target that still waits for it. If more events wait than a target's limit
// allows, its oldest ones that were not handed out are given up, with those joined
// to them. So is an event that is older than the cursor's MaxAge when its turn
// comes. Events that were handed out are never given up.
//
// Whoever loses an event before it can append it, or cannot show that it lost
// none, says so with [Journal.Gap] or [Journal.Lose]. The first loss of a cursor
// opens its [Gap], with the time and the reason, and later ones add to it. It
// stays open until [Cursor.Mend]: a flush or an operator made the losses good.
//
// A Journal made by [New] ends with its process, and the pending events with it.
// Package disk keeps one in a file. It makes its journal with [Restore], and takes
// what the file lacks through a [File]; nothing is ever read from the file later.
package journal
