// Package disk keeps a journal in a file, from which the next process goes on.
//
// [Open] reads and checks the whole file, and makes a [Disk]: a journal in memory
// with a goroutine that writes its changes. Nothing is ever read from the file
// later, and only Sync and Close wait for it. So a disk that is full, slow or dead
// changes nothing about delivery. DESIGN.md tells what a commit holds, and what a
// crash at each point leads to.
//
// # Order
//
// A commit holds the journal as it was at one moment. The file never has an
// acknowledgement of an event that it does not know. After an outage the events
// are written in parts, and the cursors with the last.
//
// # Loss
//
// A commit begins at once, or 10 ms after the one before. If the process is killed,
// the next one goes on from the last commit. It posts again what was in flight or
// was acknowledged since, and does not know of events that were appended since.
// [Disk.Durable] tells up to which Lamport time the file has every appended event.
//
// While the disk fails, or too much waits for it, the journal is degraded: it is
// logged once, and Status and the metrics show it. Events are delivered from memory
// then, and those that wait are lost if the process ends. The writer tries again
// until the disk takes a commit.
//
// # Who may have the file
//
// One process has a data directory, by a lock on a file in it; another gets an
// [*InUseError]. A damaged file is a [*CorruptError], and stays as it is. [Check]
// reports what can still be read of it, and changes nothing.
//
// A Disk is safe for concurrent use.
package disk
