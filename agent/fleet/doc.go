// Package fleet tells how all members of the cluster are. Each member says it of itself.
//
// [Fleet.Report] asks them, and [Fleet.Answer] is the other side. Package api has the report.
//
// # What a member says
//
// An answer has two parts. The words are the same from moment to moment: version, states,
// errors, problems, and how many members the node counts. The numbers change: what waits,
// ages, counts. An answer has no name in it, so no member can speak in the name of another.
//
// Each node judges itself, by [api.StatusReport.Check]. The node that asks adds only problems
// that the member cannot know: it did not answer, serf gave it up, or it counts other members.
//
// # Who is asked
//
// The node asks up to 64 members itself, all at once. Of more, other members ask their share,
// as package delegate says. The words of an answer count if two of them have passed on the
// same, or if the member itself has said it. The numbers count as one of them has passed them
// on: a lying delegate can change numbers, and no word.
//
// Nobody asks members that have left or failed, unless they live. Stock members cannot be
// asked, and agents of former versions do not know the question.
//
// # Blocking and limits
//
// A member has two seconds to answer. If some take longer than a second, all others are
// asked once more and have 400 ms. So no answer is older than a second, unless the member has
// fallen silent since or is far away. [Fleet.Report] takes 2.9 seconds at
// most.
//
// An answer has up to 48 KiB of words and 4 KiB of numbers. It has 32 targets, the worst ones, and 16
// problems, with texts of 300 bytes. The asker cuts what is longer.
//
// # Trust
//
// A hostile member chooses each text of its answer. Texts are not changed, only cut: whoever
// shows them has to show them as text. A command in it is kept only if it is one of a few that
// look at a node or replay events. Times go over the network as ages, so clocks that differ do
// no harm.
//
// # Versions
//
// A member skips what it does not know in a question or an answer. An unknown state of a
// target counts as the worst.
package fleet
