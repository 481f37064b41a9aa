package rpcclient

import (
	"errors"
	"fmt"

	"agentctl/rpcclient/wire"
)

var (
	// ErrNotSent marks a call whose request did not reach the agent. You can
	// safely send it again.
	ErrNotSent = errors.New("request not sent")

	// ErrLostReply marks a call that got no answer, although its request was
	// written, or may have been. It may or may not have taken effect.
	ErrLostReply = errors.New("no answer received")

	// ErrClosed is the cause of the errors of a client that was closed.
	ErrClosed = errors.New("client is closed")

	// ErrStreamOverflow matches every [OverflowError], for errors.Is.
	ErrStreamOverflow = errors.New("stream records lost")
)

// The errors that an agent reports by name, for errors.Is.
var (
	ErrUnsupportedCommand error = &RemoteError{Text: wire.ErrUnsupportedCommand}
	ErrUnsupportedVersion error = &RemoteError{Text: wire.ErrUnsupportedVersion}
	ErrHandshakeRequired  error = &RemoteError{Text: wire.ErrHandshakeRequired}
	ErrMonitorExists      error = &RemoteError{Text: wire.ErrMonitorExists}
	ErrInvalidFilter      error = &RemoteError{Text: wire.ErrInvalidFilter}
	ErrInvalidQueryID     error = &RemoteError{Text: wire.ErrInvalidQueryID}
	ErrAuthRequired       error = &RemoteError{Text: wire.ErrAuthRequired}
	ErrInvalidAuthToken   error = &RemoteError{Text: wire.ErrInvalidAuthToken}
)

// RemoteError is an answer in which the agent reports an error.
type RemoteError struct {
	Text string // as the agent sent it
}

func (e *RemoteError) Error() string {
	if e.Text == wire.ErrAuthRequired {
		return e.Text + " (the agent has an auth key: give it with -rpc-auth)"
	}
	return e.Text
}

// Is reports whether target is a RemoteError with the same text.
func (e *RemoteError) Is(target error) bool {
	t, ok := target.(*RemoteError)
	return ok && t.Text == e.Text
}

// CallError is a call that got no answer. It is [ErrLostReply] or
// [ErrNotSent], and wraps the cause.
type CallError struct {
	Command wire.Command
	Addr    string
	Sent    bool // whether the agent may have got the request
	Err     error
}

func (e *CallError) Error() string {
	if !e.Sent {
		return fmt.Sprintf("%s: not sent to the agent at %s: %v", e.Command, e.Addr, e.Err)
	}
	var then string
	switch e.Command {
	case wire.Handshake, wire.Auth, wire.Members, wire.Stream, wire.Monitor, wire.Stop,
		wire.ListKeys, wire.Stats, wire.GetCoordinate: // these change nothing
	case wire.MembersFiltered:
		if errors.Is(e.Err, errConnClosed) {
			then = " (a stock agent does so on a bad regular expression: check the filter)"
		}
	default:
		then = " (the command may or may not have taken effect)"
	}
	return fmt.Sprintf("%s: no answer from the agent at %s: %v%s", e.Command, e.Addr, e.Err, then)
}

// Is reports true for [ErrLostReply] if e was sent, and else for [ErrNotSent].
func (e *CallError) Is(target error) bool {
	return target == ErrLostReply && e.Sent || target == ErrNotSent && !e.Sent
}

func (e *CallError) Unwrap() error { return e.Err }

// DialError is a failure to connect, to shake hands or to authenticate. The
// client has sent no other command.
type DialError struct {
	Addr string
	Hint string // what to look at next
	Err  error
}

func (e *DialError) Error() string {
	return fmt.Sprintf("cannot use the serf agent at %s: %v (%s)", e.Addr, e.Err, e.Hint)
}

// Is reports true for [ErrNotSent]: a command that needed this connection was
// not sent.
func (e *DialError) Is(target error) bool { return target == ErrNotSent }

func (e *DialError) Unwrap() error { return e.Err }

// OverflowError stands in a stream in place of records that the client dropped,
// because the consumer was too slow. The stream goes on after it.
type OverflowError struct {
	Lost int // records
}

func (e *OverflowError) Error() string {
	return fmt.Sprintf("%d %v: the consumer is slower than they come", e.Lost, ErrStreamOverflow)
}

// Is reports true for [ErrStreamOverflow].
func (e *OverflowError) Is(target error) bool { return target == ErrStreamOverflow }

// errConnClosed is the cause if the agent ended the connection between two
// answers.
var errConnClosed = errors.New("the agent closed the connection")
