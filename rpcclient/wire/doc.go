// Package wire is serf's RPC protocol, written once for the client and the
// server: command names, headers, bodies, error texts, limits and the codec.
//
// # The conversation
//
// A client opens a stream connection (TCP or a unix socket) and sends requests.
// Each request is a [RequestHeader], followed by a body if the command has one.
// The server answers each with a [ResponseHeader] and, again, a body if the
// command has one. The header carries the request's Seq, and an error text that is
// empty on success. Headers and bodies are msgpack values that follow one another
// directly: there is no length in front.
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
// The first command is always handshake. If the agent has an auth key, the second
// is auth. Three commands go on answering under the Seq of their request. For
// stream and monitor, a stop that names this Seq ends that, or the end of the
// connection. For query, a [QueryRecord] of type "done" ends it.
//
// # Bodies
//
// The bytes do not say whether a body follows a header: both sides know it from
// the command ([Command.HasRequest], [Command.HasResponse]). A command with a
// response body carries it also when Error is set. There are two exceptions: no
// body follows [ErrAuthRequired] and [ErrHandshakeRequired]
// ([ResponseHeader.BodyFollows]).
//
// After an unknown command the server cannot know whether a body follows. So it
// answers with [ErrUnsupportedCommand] and closes the connection. It does the same
// with [ErrHandshakeRequired].
//
// # Peculiarities of stock agents
//
//   - They read the body of a request that lacks authentication as another header,
//     and answer it with [ErrAuthRequired] under the same Seq.
//   - They send up to 512 records of a stream after they have answered its stop.
//   - They ignore a stop of a query.
//   - They close the connection without an answer on a bad regular expression in
//     members-filtered, and on any body that they cannot decode.
//
// Recorded conversations are in testdata/rpc; package wiretest loads them.
//
// # Limits
//
// A [Reader] takes one msgpack value at a time, and checks it against [Limits]
// while the bytes arrive. A declared length alone never makes it take memory: the
// peer has to send the bytes first.
//
// The types are those of serf v0.11.0 (cmd/serf/command/agent/ipc.go and
// client/const.go in github.com/hashicorp/serf); serf 0.8 speaks the same.
package wire
