// Package memnet is a network in memory for memberlist, and for everything else
// that goes over memberlist's transport. It carries packets and streams, with
// delay and loss. Servers and clients of other protocols use its streams by
// [Network.Listen] and [Network.Dial]. Tests and simulations run nodes on it: in a bubble of
// testing/synctest, which makes its times exact, or on the real clock.
//
// # Order
//
// Each packet has a delay of its own, so packets overtake each other. The bytes
// of a stream arrive in order.
//
// # Blocking
//
// Sending a packet never waits. Each direction of a stream holds 4 MiB that are
// not read yet. Beyond that writers wait, as with TCP. A dial waits for the
// listener to accept, at most until its timeout.
//
// # Loss
//
// A packet is lost by chance (Config.Loss), if nobody listens at its address,
// across a cut ([Network.Part]), and to a closed port ([Network.ClosePackets]). It is
// also lost if its receiver has left 1,024 packets unread. A stream loses nothing. If chance hits a segment of it,
// that segment and all behind it are late by Config.Resend.
package memnet
