// Package wire is serf's RPC protocol, written once for the client and the
// server: command names, headers, bodies, error texts, limits and the codec.
//
// # The conversation
//
// A client opens a stream connection (TCP or a unix socket) and sends
// requests; each is a [RequestHeader] and, for the commands that have one, a
// body. The server answers each with a [ResponseHeader] that carries the
// request's Seq, an error text that is empty on success and, for the commands
// that have one, a body. Headers and bodies are msgpack values that follow one
// another with nothing between them: there is no length in front.
//
//	client                                   server
//	{Command:"handshake" Seq:1} {Version:1}  →
//	                                         ←  {Seq:1 Error:""}
//	{Command:"event" Seq:2} {Name Payload …} →
//	                                         ←  {Seq:2 Error:""}
//	{Command:"stream" Seq:3} {Type:"user"}   →
//	                                         ←  {Seq:3 Error:""}
//	                                         ←  {Seq:3 Error:""} {Event:"user" …}   again and again
//	{Command:"stop" Seq:4} {Stop:3}          →
//	                                         ←  {Seq:4 Error:""}
//
// The first command is always handshake. Where the agent has an auth key, the
// second is auth. stream, monitor and query go on answering under the Seq of
// their request: stream and monitor until a stop names that Seq or the
// connection ends, query until a [QueryRecord] of type "done".
//
// # Two rules that a reader has to know
//
// Which bodies follow a header is not on the wire: both sides know it from the
// command ([Command.HasRequest], [Command.HasResponse]). A command that has a
// response body carries it also when Error is set, with two exceptions: after
// [ErrAuthRequired] and [ErrHandshakeRequired] no body follows
// ([ResponseHeader.BodyFollows]).
//
// After an unknown command the server cannot know whether a body follows, so
// it answers with [ErrUnsupportedCommand] and closes the connection. It does
// the same with [ErrHandshakeRequired].
//
// # What else stock agents do
//
// They read the body of a request that lacks authentication as the header of
// another, and answer it with [ErrAuthRequired] under the same Seq. They send
// up to 512 records of a stream after they have answered its stop. They ignore
// a stop of a query. On a bad regular expression in members-filtered, and on
// any body that they cannot decode, they close the connection without an
// answer. Recorded conversations are in testdata/rpc; package wiretest loads
// them.
//
// # Limits
//
// A [Reader] takes one msgpack value at a time and checks it against [Limits]
// while the bytes arrive: a declared length never makes it take memory that
// the peer has not already filled.
//
// The types are those of serf v0.11.0 (cmd/serf/command/agent/ipc.go and
// client/const.go in github.com/hashicorp/serf); serf 0.8 speaks the same.
package wire
