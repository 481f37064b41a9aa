// Package journal is one log of events, in memory, with a cursor for each target.
//
// A [Journal] numbers events from 1, in the order of Append, without holes. A
// [Cursor] hands out the events that pass its filters, in that order. It remembers
// the settled ones.
//
// The history is the events that the journal retains. It also serves lookups by ID,
// number and Lamport time, and [Cursor.Requeue]. DESIGN.md states the promises in
// full, with the reasons.
//
// # Order
//
// A cursor hands out events in the order of their numbers. Acknowledgements may
// come in any order. A requeued event waits in its old order again: before all
// newer events that were not handed out yet. With [CursorConfig]'s Collapse, an
// event is joined to an equal one that still waits, and only that one is posted.
//
// # At least once
//
// An event stays with a cursor until it is settled: acknowledged, buried, given
// up or outdated. Append leaves out an event whose ID the journal still holds. So
// serf's repeats are not delivered again. Member events have IDs of their process,
// and so never match those of an earlier incarnation.
//
// # Blocking
//
// No method waits for a target, a network, a disk or a log, with two exceptions:
// Cursor.Next waits for an event, and Journal.Close for the file, if there is one.
// All methods take a lock that is held for memory operations only. The iterators
// hold no lock while their caller works.
//
// # Loss
//
// The limits of [Config] bound the history, and separately the pending events of
// each target. The retention of the history never takes an event away from a
// target that still waits for it. A cursor gives up events in two cases, each with
// the events joined to it:
//
//   - More events wait than the target's limit allows. The oldest ones are given up.
//   - An event is older than the cursor's MaxAge when its turn comes.
//
// It never gives up an event that was handed out.
//
// A caller may lose an event before it can append it, or may be unable to show that
// it lost none. It says so with [Journal.Gap] or [Journal.Lose]. The first loss of a
// cursor opens its [Gap], with the time and the reason, and later ones add to it. The
// gap stays open until [Cursor.Mend]: a flush or an operator made the losses good.
//
// A Journal made by [New] ends with its process, and the pending events with it.
// Package disk keeps one in a file. It makes its journal with [Restore], and writes
// the changes that it takes through a [File]. It never reads the file again.
package journal
