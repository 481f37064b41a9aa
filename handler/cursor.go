package handler

import (
	"errors"
	"fmt"
	"time"
)

// CursorConfig is what a target wants of its cursor.
type CursorConfig struct {
	Filters Filters
	// Collapse joins an event to one of equal type, name and payload that
	// waits for its turn: the target gets the first of them only. Member
	// events are never joined.
	Collapse bool
	// MaxAge is for how long an event may wait, by Event.Time, or since its
	// Requeue in this process: one that has waited longer when its turn comes is
	// given up, with what was joined to it. 0 and less: for ever.
	MaxAge time.Duration
	// KeepLast keeps an event for RequeueLast, whatever the retention says.
	KeepLast bool
}

// CursorStatus is how a cursor stands.
type CursorStatus struct {
	// Waiting counts the events not acknowledged, handed out or not, and those
	// joined to them, as far as the log retains these.
	Waiting int
	// Oldest is when the oldest of them was first known; zero when none waits.
	Oldest time.Time
	// Collapsed counts the events that were joined to one that waited, since
	// the cursor was opened in this process.
	Collapsed uint64
	// Lost counts, since the cursor is there, the events that it had to give up
	// because too many waited, those that waited longer than MaxAge (Expired,
	// among them), and those that never came into the journal.
	Lost    uint64
	Expired uint64
	Gap     Gap
	// Buried counts the events that are buried.
	Buried int
}

// maxReason bounds, in bytes, why a gap came to be.
const maxReason = 200

// Gap is what a target surely or possibly lacks, from the first event that was
// lost until Mend. It outlives the process where the journal does.
type Gap struct {
	Since  time.Time // of the first loss; zero: there is no gap
	Reason string    // of the newest loss: one line, of at most some 200 bytes
	// Mark grows with each loss, in this process, and is what Mend takes.
	Mark uint64
}

// Open tells whether there is a gap.
func (g Gap) Open() bool { return !g.Since.IsZero() }

// Why events are lost that the journal had.
const (
	tooManyWaited = "more events waited than the limit allows"
	waitedTooLong = "an event waited for longer than max_age"
	unknownReason = "an earlier version of this program kept no reason"
)

// BuriedInfo is why an event was buried.
type BuriedInfo struct {
	Time   time.Time // of the burial; zero means now
	Status int       // of the answer
	Reason string    // one line
	Answer []byte    // its first bytes
}

// Buried is an event that a target refused for good.
type Buried struct {
	Seq   uint64
	Event Event
	BuriedInfo
}

var (
	// ErrClosed means that the journal, or this cursor, was closed.
	ErrClosed = errors.New("journal closed")
	// ErrCursorInUse means that a target of that name is being served already.
	ErrCursorInUse = errors.New("another target of that name is being served")
	// ErrNoLast means that there is no event for RequeueLast.
	ErrNoLast = errors.New("no event is known that could be posted once more")
)

// NotHeldError is a Requeue of an event that the journal does not hold.
type NotHeldError struct{ Seq uint64 }

func (e *NotHeldError) Error() string {
	return fmt.Sprintf("event %d is not held (any more); list the events and choose again", e.Seq)
}

// TooManyError is a Requeue that was refused, as more events would wait than
// fit.
type TooManyError struct {
	Waiting      int // events that would wait
	WaitingBytes int // of them
	MaxPending   int
	MaxBytes     int
	Free         int // how many of those that were asked for fit now, oldest first
}

func (e *TooManyError) Error() string {
	next := "wait until some are through"
	if e.Free > 0 {
		next = fmt.Sprintf("choose at most %d now, and the others when those are through", e.Free)
	}
	return fmt.Sprintf("%d events (%d bytes) would wait, and the limit is %d (%d bytes): %s",
		e.Waiting, e.WaitingBytes, e.MaxPending, e.MaxBytes, next)
}
