// Package queue holds first-in-first-out queues in memory.
//
// A [Ring] has no limit of its own: it is for owners that count what they hold.
// A [Queue] is bounded by the number of its elements and by their bytes, and
// tells the owner when an element does not fit. The owner decides what that
// means: to count a loss, or to wait.
//
// Both clear the slot of an element that was taken, so that what it points to
// can be freed, and both give memory back when a burst is over. Neither is safe
// for concurrent use: the owner's lock guards them, and nothing here blocks.
package queue
