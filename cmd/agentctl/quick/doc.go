// Package quick publishes an event before the rest of the program has begun.
//
// "agentctl event" is run by scripts and by gateways, once for each change, and
// is done in a fraction of the time that the packages of an agent take to
// initialise themselves. Go initialises packages in the order of their import
// paths, each as soon as all that it imports is: a package "agentctl/…" that
// imports little comes before serf, Prometheus and the HTTP server, and may end
// the process there. So this package does its work when it is initialised, and
// imports next to nothing: not even packages os and strings, which come behind
// two dozen others. A test holds that. It is for Linux.
//
// It does the plain case: an event by flags, variables and arguments, to an
// IPv4 address or a unix socket. What it sends is what package rpcclient sends,
// to the byte and in the same steps: handshake and authentication, and the
// event once both are answered.
//
// It knows one answer, success and nothing else. How the ordinary command
// takes over from any other depends on how far the conversation is:
//
//   - If the event was not sent, this package closes the connection and does
//     nothing more. The ordinary command starts afresh.
//   - If the event was sent, the agent may have taken it. This package leaves
//     the connection, with the answer unread, to the ordinary command
//     ([Left]). That reads the answer with package rpcclient: a warning, a
//     refusal, fields of a later version, or no answer at all. Nobody sends
//     the event again.
package quick
