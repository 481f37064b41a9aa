// Package publish gives the events of this node's publishers their Lamport times
// and sends them. An event goes to this node's own intake, to the other members (package
// broadcast), and to serf for the gossip. It takes in the events of others as well.
//
// # Order
//
// Publishes go one after another, and nothing comes between the events that are given to
// [Publisher.PublishAll] together. This node and its peers get the events in that
// order; gossip keeps none. Events that come close together share a Lamport time:
// at most 50 of them, for at most 5 ms. So serf's window of 512 Lamport times holds
// 25,600 events. Events that share a Lamport time differ, since serf takes equal
// ones for copies of each other.
//
// # Blocking
//
// A publish waits for a requested join, for at most five seconds. Then it waits for
// the publish before it and for room in the intake. It waits for no member. If the
// publisher's context ends meanwhile, the event goes nowhere.
//
// # Loss
//
// If a link or a member has no room for a message, the message is counted and left
// to gossip. Package repair finds the events that gossip loses. An event that is too
// large for gossip goes by reference. Members that are not agentctl do not get it,
// and [Publisher.Report] names them.
package publish
