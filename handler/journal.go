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
	// payloads, and never waits for a target. Events of zero Time get the
	// present one.
	Append(events ...Event) error

	// Gap says that n events were lost before they could be appended. For whom
	// they were is not known, so every cursor counts them among its losses.
	Gap(n uint64) error

	// Cursor opens the cursor of a target. A cursor not known before stands at
	// the end of the log; another goes on behind the last event acknowledged,
	// with fs for the events appended from now on. A cursor is open once at a
	// time: else the error is ErrCursorInUse. A closed cursor still keeps its
	// place and gathers events; Forget ends that.
	Cursor(target string, fs Filters) (Cursor, error)

	// Forget drops the closed cursor of a target that is gone for good.
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

// Cursor is a target's place in a Journal. It reads for one goroutine at a
// time; Seek, Status and Close may be called from others.
type Cursor interface {
	// Next hands out the oldest event that matches and was not handed out
	// yet, and waits for one where there is none.
	Next(ctx context.Context) (Record, error)

	// Ack says that the events handed out up to this sequence number need
	// nothing more. Of events not handed out it says nothing.
	Ack(seq uint64) error

	// Seek moves the cursor: next is the first event that matches from this
	// sequence number on that the cursor or the log still holds. Events handed
	// out and not acknowledged are handed out again if they are in there. It
	// is refused where more would wait than the cursor can hold.
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
	return fmt.Sprintf("replay from %d: %d events (%d bytes) would wait, and the limit is %d (%d bytes); replay from a later place",
		e.Seq, e.Waiting, e.WaitingSize, e.MaxPending, e.MaxBytes)
}
