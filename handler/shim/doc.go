// Package shim stands where serf calls a script.
//
// [FromScript] makes an event of the environment and the standard input that serf
// gives its event handlers. It blocks until standard input ends, and reads at most
// 1 MiB of it.
//
// [KongScript] knows the event scripts that Kong 0.6 to 0.10 write, by their text. An
// agent can then post to the URL in such a script itself, and need not run it. It does
// not recognise a script with one character more or less, because that may do
// something else.
//
// Nothing here keeps state, so all of it is safe for concurrent use.
package shim
