// Package quick publishes an event before the rest of the program has begun.
//
// Scripts and gateways run "agentctl event" once for each change. The publish
// takes a fraction of the time in which the packages of an agent initialise. So
// this package publishes while it is initialised itself, and then may end the
// process. It works on Linux only.
//
// # Why it comes first
//
// Go initialises packages in the order of their import paths, each as soon as its
// imports are ready. A package "agentctl/…" with few imports comes before serf,
// Prometheus and the HTTP server. So this package imports next to nothing: not
// even packages os and strings, which come after some twenty others. A test holds
// that.
//
// # The plain case
//
// It takes an event from flags, variables and arguments, and sends it to an IPv4
// address or a unix socket. It sends the same bytes as package rpcclient, in the
// same steps: handshake, authentication, and the event once both are answered.
//
// # Handing over
//
// It knows only one answer: success, with the event's ID if the agent is ours. With
// any other answer, the ordinary command takes over. How it does so depends on the state of the conversation:
//
//   - If the event was not sent, this package closes the connection and does
//     nothing more. The ordinary command starts afresh.
//   - If the event was sent, the agent may have taken it. This package leaves the
//     connection to the ordinary command ([Left]), with the answer unread. Package
//     rpcclient reads it there: a warning, a refusal, fields of a later version,
//     or no answer at all. Nobody sends the event again.
package quick
