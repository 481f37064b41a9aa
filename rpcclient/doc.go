// Package rpcclient is a client of serf's RPC protocol. It works with any serf
// agent: stock serf from 0.8 on, and agentctl's.
//
// A [Client] is one connection. A [Publisher] publishes events for as long as a
// program runs, and dials again when the connection is gone. Both are safe for
// concurrent use.
//
// # Order
//
// A Client writes each call at once, however many are unanswered. The agent takes
// the requests of one connection in the order in which they were written, and
// answers in that order. Records of streams come in between. Each answer finds
// its call by a sequence number.
//
// # Errors
//
// A call fails in one of three ways. They tell you whether you may try again:
//
//   - The agent answered with an error: [*RemoteError]. Compare it with
//     [ErrAuthRequired] and its like by errors.Is.
//   - The request did not reach the agent: errors.Is(err, [ErrNotSent]). You can
//     safely send it again.
//   - The request was, or may have been, written, and no answer came:
//     errors.Is(err, [ErrLostReply]). The command may have taken effect, wholly
//     or not at all. A stock agent also closes the connection without an answer
//     if it dislikes a request, such as a bad regular expression.
//
// The last two are a [*CallError]. It wraps the cause: the context's error,
// [ErrClosed] after Close, or the error that broke the connection. A Client never
// repeats a call.
//
// # Blocking
//
// A call blocks until its answer, its context's end, or the connection's end.
// When the context ends, the client gives the call up and keeps the connection:
// it reads a late answer and throws it away. No caller can block another, because
// the loop that reads answers waits for nobody.
//
// # Loss
//
// If a consumer is slower than its stream, the client keeps the records up to a
// limit. Beyond the limit it drops them. In their place the consumer gets an
// [*OverflowError] with their number.
//
// A connection that breaks ends all calls and streams with an error. A Client
// does not come back from that: dial another.
package rpcclient
