package journal

import (
	"errors"
	"time"

	"agentctl/handler"
)

// CursorConfig is what a target wants of its cursor.
type CursorConfig struct {
	Filters handler.Filters
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

const waitedTooLong = "an event waited for longer than max_age"

// ErrCursorInUse means that a target of that name is being served already.
var ErrCursorInUse = errors.New("another target of that name is being served")

// ErrNoLast means that there is no event for RequeueLast.
var ErrNoLast = errors.New("no event is known that could be posted once more")
