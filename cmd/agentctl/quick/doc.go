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
// IPv4 address or a unix socket. In any other, and when anything goes
// wrong as long as the event has surely not been taken, it does nothing, and
// the ordinary command does the work and words the errors. What it sends is
// what package rpcclient sends, to the byte.
package quick
