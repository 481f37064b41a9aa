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
// A commit begins at least 10 ms after the beginning of the one before; [Disk.Sync]
// makes it begin at once. If the process is killed, the next one goes on from the
// last commit. It posts again the events in flight and those acknowledged since. It
// does not know of events appended since. [Disk.Durable] tells up to which Lamport
// time the file has every appended event.
//
// A process that has to be gone at once calls [Disk.Abandon] in place of Close, and ends
// as after a kill.
//
// While the disk fails, or too much waits for it, the journal is degraded. That is
// logged once, and Status and the metrics show it. The agent then delivers events
// from memory, and a process that ends loses the waiting ones. The writer tries
// again until the disk takes a commit.
//
// # Who may have the file
//
// A lock on a file gives a data directory to one process; another process gets an
// [*InUseError]. A damaged file is a [*CorruptError], and stays as it is. [Check]
// reports the parts that can still be read, and changes nothing.
//
// A Disk is safe for concurrent use.
package disk
