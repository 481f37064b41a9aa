// Peers is what scripts/bench runs beside a broker: a publisher, and a subscriber that POSTs
// each message to a gateway. Users of NATS or Redis write such a subscriber. It is a module
// of its own, because no part of the program needs the brokers' clients.
//
// A subscriber is given the URL. It POSTs one message after another on a kept connection,
// so that their order is kept. It keeps no journal and repeats no POST.
//
// A publisher is given no URL. It reads lines "ROUND FIRST COUNT" from standard input. For
// each it publishes so many events as fast as the broker's client can, without waiting for
// each. Then it prints when it began, in nanoseconds since 1970.
package main
