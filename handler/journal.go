package handler

import (
	"context"
	"iter"
	"time"
)

// Journal is one log of events with a cursor for each target. Events have
// sequence numbers from 1, in the order of Append, with no holes. They stay
// for a retention by count, size and age, delivered or not; what a cursor
// still needs stays for that cursor, up to its own limit.
//
// A Journal is safe for concurrent use.
type Journal interface {
	// Append adds events at the end, in order, all or none. It copies the
	// payloads, and waits for no target and no disk. Events of zero Time get
	// the present one. An event that the journal has seen is left out.
	Append(events ...Event) error

	// Find gives the event of this ID, where the journal holds it: because it
	// is retained, or a target still needs it. Nothing has the empty ID.
	Find(id string) (Record, bool)

	// At gives the event of this sequence number, where the journal holds it.
	At(seq uint64) (Record, bool)

	// Gap says that n events were lost before they could be appended, or with 0
	// that it cannot be shown that none was. For whom they were is not known:
	// every cursor counts them among its losses, and has a gap from now on. The
	// reason is shown; it is cut to some 200 bytes.
	Gap(n uint64, reason string) error

	// Lose is Gap for one event of which type and name are known: it was lost
	// to the cursors whose filters pick it, and to no other.
	Lose(typ Type, name, reason string) error

	// Cursor opens the cursor of a target. A cursor not known before stands at
	// the end of the log; another goes on behind the last event acknowledged,
	// with cfg for the events appended from now on. A cursor is open once at a
	// time: else the error is ErrCursorInUse. A closed cursor still keeps its
	// place and gathers events; Forget ends that.
	Cursor(target string, cfg CursorConfig) (Cursor, error)

	// Targets names the targets of all cursors, open or closed, in order.
	Targets() []string

	// CursorStatus tells how the cursor of a target stands, open or closed;
	// false where the journal has none.
	CursorStatus(target string) (CursorStatus, bool)

	// Outcome tells what became of an event for a target. It knows of those
	// that are retained, and of those that wait or are buried.
	Outcome(target string, seq uint64) Outcome

	// Forget drops the closed cursor of a target that is gone for good, and
	// what it buried.
	Forget(target string) error

	// Head is the sequence number of the newest event, 0 before the first.
	Head() uint64

	// Events yields what the log retains from a sequence number on, oldest
	// first. Events appended meanwhile may be missing.
	Events(from uint64) iter.Seq2[Record, error]

	// Held is Events with, before those, what the log has let go of and still
	// waits for a target or is buried, oldest first. What is let go of
	// meanwhile may be missing.
	Held(from uint64) iter.Seq2[Record, error]

	// ByLTime yields the retained user events or queries whose Lamport time is
	// within from and to, both included, in the order of the log: that is not
	// the order of Lamport times.
	ByLTime(typ Type, from, to uint64) iter.Seq2[Record, error]

	// Close ends the journal; waiting readers get ErrClosed.
	Close() error
}

// Cursor is a target's place in a Journal: the events that it was to have and
// that are not through. Next is for one goroutine at a time; all else may be
// called from any.
type Cursor interface {
	// Next hands out the oldest event that matches and was not handed out
	// yet, and waits for one where there is none.
	Next(ctx context.Context) (Record, error)

	// Ack says that the target has taken this one event, which was handed out,
	// and answered with an HTTP status. Acks may come in any order. Of an event
	// not handed out it says nothing.
	Ack(seq uint64, status int) error

	// Outdate is Ack for an event that was not posted, as it is not true any
	// more.
	Outdate(seq uint64) error

	// Bury is Ack for an event that the target refused for good: it is kept
	// with the reason until it has been buried for as long as the retention's
	// age, too many others were buried after it, or it waits again by
	// Requeue.
	Bury(seq uint64, why BuriedInfo) error

	// Buried lists what is buried, in the order of burial.
	Buried() []Buried

	// Requeue makes events that the journal still holds wait once more, in
	// their old places by sequence number, whether the filters pick them or
	// not. Those that wait already, or are in someone's hands, stay as they
	// are. All or none: a number that is not held is a *NotHeldError, more
	// events than the cursor can hold are a *TooManyError.
	Requeue(seqs ...uint64) error

	// RequeueLast makes the newest event wait once more that the target took or
	// that was given up, unless a newer one waits: it comes behind what is older,
	// and before all that is to come. Those that were refused or outdated do not
	// count. It is for a CursorConfig with KeepLast, and fails with ErrNoLast
	// where no such event is known, and none waits.
	RequeueLast() error

	// Losses receives after events were lost, one value for any number, and
	// at once when a cursor is opened that has a gap.
	Losses() <-chan struct{}

	// Gap is that of the Journal for this cursor alone.
	Gap(n uint64, reason string) error

	// Mend says that the losses up to a mark, that of a CursorStatus read at the
	// given time, harm the target no more. Without newer ones the gap is closed;
	// else it goes on, and began then.
	Mend(mark uint64, at time.Time) error

	// Status tells how the cursor stands.
	Status() CursorStatus

	// Close frees the cursor for another Cursor call. What was handed out and
	// not acknowledged waits again.
	Close() error
}

// Record is an event with its place in a Journal.
type Record struct {
	Seq   uint64
	Event Event
}
