// Package memnet is a network in memory for memberlist, and for all else that
// goes over memberlist's transport: packets and streams, with delay and loss.
// Tests and simulations run nodes on it, in a bubble of testing/synctest so
// that its times are exact, or on the real clock.
//
// # Order
//
// Packets overtake each other as their delays have it. A stream's bytes come in
// order.
//
// # Blocking
//
// Sending a packet never waits. A stream holds 4 MiB in each direction that
// were written and not read yet; then writers wait, as with TCP.
//
// # Loss
//
// A packet is lost by chance (Config.Loss), where nobody listens, across a cut
// (Network.Part), and where its receiver leaves 1,024 others unread. Of a stream nothing is lost: what chance
// hits there comes late, and all behind it.
package memnet
