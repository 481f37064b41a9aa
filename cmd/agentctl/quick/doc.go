// Package quick publishes an event before the rest of the program has begun.
//
// Scripts and gateways run "agentctl event" once for each change. The publish
// takes a fraction of the time in which the packages of an agent initialise. So
// this package publishes while it is initialised itself, and then may end the
// process. It works on Linux, on amd64 and arm64.
//
// # Why it comes first
//
// Go initialises packages in the order of their import paths, each as soon as its
// imports are ready. So a package "agentctl/…" that imports nothing comes first of all,
// behind the runtime. This one makes its system calls with the functions behind packages
// syscall and os, and does not import either: some ten others come before them. Tests
// hold that. It also keeps to few allocations and small frames, since each size that is
// new to the process, of memory or of a stack, touches pages.
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
