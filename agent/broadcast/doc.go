// Package broadcast brings events to the other members of the cluster without waiting
// for gossip: over links to agents of ours, and straight to all others.
//
// # Blocking
//
// [Broadcast.Send] never waits.
//
// # Loss
//
// If a link or a member has no room for a message, the message is counted and left to
// gossip. Package repair finds the events that gossip loses.
package broadcast
