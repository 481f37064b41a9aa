package journal

import (
	"errors"
	"fmt"
)

// ErrClosed means that the journal, or this cursor, was closed.
var ErrClosed = errors.New("journal closed")

// NotHeldError is a Requeue of an event that the journal does not hold.
type NotHeldError struct{ Seq uint64 }

func (e *NotHeldError) Error() string {
	return fmt.Sprintf("event %d is not held (any more); list the events and choose again", e.Seq)
}

// NotBuriedError is a Dismiss of an event that is not buried.
type NotBuriedError struct{ Seq uint64 }

func (e *NotBuriedError) Error() string {
	return fmt.Sprintf("event %d is not buried (any more)", e.Seq)
}

// TooManyError is a Requeue that was refused, because more events would be pending
// than MaxPending or MaxPendingBytes allows.
type TooManyError struct {
	Waiting      int // events that would be pending
	WaitingBytes int // their size, as Config counts it
	maxEvents    int
	maxBytes     int
	Free         int // how many of the events asked for fit now, oldest first
}

func (e *TooManyError) Error() string {
	next := "wait until some are settled"
	if e.Free > 0 {
		next = fmt.Sprintf("choose at most %d now, and the others when those are settled", e.Free)
	}
	return fmt.Sprintf("%d events (%d bytes) would wait, and the limit is %d (%d bytes): %s",
		e.Waiting, e.WaitingBytes, e.maxEvents, e.maxBytes, next)
}

// ErrCursorInUse means that the cursor of a target is open already.
var ErrCursorInUse = errors.New("another target of that name is being served")

// ErrNoLast means that there is no event for RequeueLast.
var ErrNoLast = errors.New("no event is known that could be posted once more")
