package handler

import (
	"context"
	"errors"
	"fmt"
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

	// Seen tells whether the journal holds an event of this ID: because it is
	// retained, or a target still needs it. Nothing has the empty ID.
	Seen(id string) bool

	// Gap says that n events were lost before they could be appended. For whom
	// they were is not known, so every cursor counts them among its losses.
	Gap(n uint64) error

	// Cursor opens the cursor of a target. A cursor not known before stands at
	// the end of the log; another goes on behind the last event acknowledged,
	// with fs for the events appended from now on. A cursor is open once at a
	// time: else the error is ErrCursorInUse. A closed cursor still keeps its
	// place and gathers events; Forget ends that.
	Cursor(target string, fs Filters) (Cursor, error)

	// Forget drops the closed cursor of a target that is gone for good, and
	// what it buried.
	Forget(target string) error

	// Head is the sequence number of the newest event, 0 before the first.
	Head() uint64

	// Events yields what the log retains from a sequence number on, oldest
	// first. Events appended meanwhile may be missing.
	Events(from uint64) iter.Seq2[Record, error]

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

	// Ack says that this one event, which was handed out, needs nothing more.
	// Acks may come in any order. Of an event not handed out it says nothing.
	Ack(seq uint64) error

	// Bury is Ack for an event that the target refused for good: it is kept
	// with the reason until it has been buried for as long as the retention's
	// age, too many others were buried after it, or it waits again by Unbury
	// or Seek.
	Bury(seq uint64, why BuriedInfo) error

	// Buried lists what is buried, in the order of burial.
	Buried() []Buried

	// Unbury makes buried events wait again, in their old places. All or none:
	// a sequence number that is not buried is a *NotBuriedError, and more than
	// the cursor can hold a *SeekError.
	Unbury(seqs ...uint64) error

	// Seek moves the cursor: next is the first event that matches from this
	// sequence number on that the cursor or the log still holds. Events handed
	// out and not acknowledged are handed out again if they are in there, and
	// so are buried ones. It is refused where more would wait than the cursor
	// can hold.
	Seek(seq uint64) error

	// Losses receives after events were lost, one value for any number, and
	// at once when a cursor is opened that has lost some before.
	Losses() <-chan struct{}

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

// CursorStatus is how a cursor stands.
type CursorStatus struct {
	// Waiting counts the events not acknowledged, handed out or not.
	Waiting int
	// Oldest is when the oldest of them was first known; zero when none waits.
	Oldest time.Time
	// Lost counts the events that the cursor had to give up because too many
	// waited, and those that never came into the journal: a proven gap, which
	// began at GapSince.
	Lost     uint64
	GapSince time.Time
	// Buried counts the events that are buried.
	Buried int
}

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
)

// SeekError is a Seek that was refused, as more events would wait than fit.
type SeekError struct {
	Seq         uint64
	Waiting     int // events that would wait
	WaitingSize int // bytes of them
	MaxPending  int
	MaxBytes    int
}

func (e *SeekError) Error() string {
	return fmt.Sprintf("replay from event %d: %d events (%d bytes) would wait, and the limit is %d (%d bytes); replay from a later place",
		e.Seq, e.Waiting, e.WaitingSize, e.MaxPending, e.MaxBytes)
}

// NotBuriedError is an Unbury of an event that is not buried.
type NotBuriedError struct{ Seq uint64 }

func (e *NotBuriedError) Error() string {
	return fmt.Sprintf("event %d is not buried (any more); list the buried events and choose again", e.Seq)
}
