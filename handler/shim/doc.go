// Package shim stands where serf calls a script.
//
// [FromScript] makes an event of the environment and the standard input that serf
// gives its event handlers. It blocks until standard input ends, and reads at most
// 1 MiB of it.
//
// [KongScript] knows the event script of each release of Kong from 0.6.0 to 0.10.4, by
// its text. An agent can then post to the URL in such a script itself, and need not
// run it. Only the address, the port and the folder of the interpreter may be any. It
// does not recognise a script with one more change, because that may do something
// else.
//
// Nothing here keeps state, so all of it is safe for concurrent use.
package shim
