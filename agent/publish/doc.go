// Package publish gives events that are published at this node their Lamport
// times and sends them: to this node's own intake, to serf for the gossip, over
// links to agentctl agents, and straight to other members.
//
// # Order
//
// Publishes go one after another. This node and its peers get the events in that
// order; gossip keeps none. Events that come close together share a Lamport time,
// at most 50 of them and for at most 5 ms, so that serf's window of 512 Lamport
// times holds 25,600 events. Events that share one differ, since serf takes equal
// ones for copies of each other.
//
// # Blocking
//
// A publish waits for a join that was asked for, for at most five seconds, and then
// for the publish before it and for room in the intake. It waits for no member. All
// of it ends with the publisher's context, and the event goes nowhere then.
//
// # Loss
//
// What a link or a member has no room for is counted and left to gossip. Package
// repair finds what gossip loses. An event that is too large for gossip goes by
// reference, and members that are not agentctl do not get it: Report names them.
package publish
