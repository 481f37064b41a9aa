// Package rpcclient is a client of serf's RPC protocol. It works with any serf
// agent: stock serf from 0.8 on, and agentctl's.
//
// A [Client] is one connection. It is safe for concurrent use: each call is
// written at once, however many are unanswered, and each answer finds its call
// by its sequence number. The agent takes the requests of one connection in
// the order in which they were written, and answers in that order; records of
// streams come in between.
//
// A [Publisher] publishes events for as long as a program runs, and dials again
// when the connection is gone.
//
// # What an error tells
//
// A call fails in one of three ways, and a caller that thinks of trying again
// has to know which:
//
//   - The agent answered with an error: [*RemoteError]. [ErrAuthRequired] and
//     its like are to be compared with errors.Is.
//   - The agent surely has not got the request: errors.Is(err, [ErrNotSent]).
//     Sending it again is safe.
//   - The request was, or may have been, written and no answer came:
//     errors.Is(err, [ErrLostReply]). The command may have taken effect, wholly
//     or not at all. A stock agent also closes the connection without an answer
//     where it dislikes a request, such as a bad regular expression.
//
// The last two are a [*CallError] with the cause inside: the context's error,
// [ErrClosed] after Close, or what broke the connection. No call is ever
// repeated by a Client.
//
// # Blocking
//
// A call blocks until its answer, its context's end, or the connection's end.
// When the context ends, the call is given up and the connection stays usable:
// a late answer is read and thrown away. No caller can block another: the loop
// that reads answers waits for nobody.
//
// # Loss
//
// The records of a stream are kept, up to a limit, for a consumer that is
// slower than they come. Beyond the limit they are dropped, and the consumer
// gets an [*OverflowError] with their number in the place where they are
// missing.
//
// A connection that breaks ends all calls and streams with an error. A Client
// does not come back from that: dial another.
package rpcclient
