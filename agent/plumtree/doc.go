// Package plumtree is one node's part of a broadcast to all agents of a cluster, at a
// cost that does not grow with the cluster. It is a state machine: it has no goroutines,
// no clock and no network of its own. Its caller gives it neighbours, messages and the
// time. It returns messages to send and events to deliver.
//
//	Publish ─┐                 ┌─► Sends: messages to neighbours
//	Receive ─┼─► a [Tree] ─────┼─► Events: in their publisher's order, or late
//	Due ─────┘                 ├─► Gossip: events that the tree may not bring to all
//	                           └─► Next: when Due has something to do
//
// Each node has up to 32 links. Events go whole along a tree of them, one tree for each
// publisher. On other links goes a digest: the ID of the event. A node that has a
// digest of an event and not the event pulls it a few milliseconds later, and the link
// becomes part of the tree.
//
// In a cluster of up to 31 agents the publisher sends to all, and nobody passes it on.
// DESIGN.md beside this file has the protocol, and the reasons why it is enough.
//
// # The promise
//
// An event comes to every node with a lasting path of honest nodes to a node that has
// it. Mostly it takes milliseconds. At worst each link of the path adds a second, since
// its digest waits so long, and the time of the pulls. For an event that its publisher
// sends to all, the links of the path must be early ones (see [Neighbour]).
//
// An event comes once, as long as no link holds up a message for 10 seconds. The promise
// is about events that are less than 10 seconds old. Package repair brings older ones, and
// those that a crash or a full queue takes away.
//
// # Order
//
// The events of one publisher are numbered. They are delivered in the order of
// incarnation and number, apart from those marked late. An event waits up to a second
// for the one before it, and then is delivered without it. The missing one is delivered
// when it comes, and marked late.
//
// The first event that a node hears of an incarnation waits 20 milliseconds for earlier
// ones. Events of different publishers have no order.
//
// # Gossip
//
// Serf's gossip of an event that the tree has carried is waste. So [Tree.SetHold] has it
// held back. After four seconds it is dropped for good, unless a neighbour may lack the
// event. Then it is let go: the event is in Gossip, and serf passes it on. The loss of a
// link lets go the gossip of the last 20 seconds, and the caller can do so at any time.
//
// An event with Held is given to this node's serf without being passed on. All others are
// passed on as serf does it, and late ones as well. Nothing is held unless the caller says
// so.
//
// A copy may come by gossip of an event that this node did not pass on. Then the caller
// passes that copy on, and tells [Tree.Gossiped]. So gossip that one node lets go reaches
// all.
//
// # Blocking
//
// No method blocks. Each takes time in proportion to the events that it is given.
// [Tree.Add] and [Tree.Remove] look at every event that is remembered, and [Serves] at
// every agent.
//
// # Loss
//
// A node forgets an event after 30 seconds, and earlier beyond the limits. A link is
// taken to be reliable while it lasts, so the caller removes a neighbour whose queue has
// dropped a message, and adds it again. A new neighbour hears of the events of the last
// 10 seconds, 512 at most. [Stats] counts what was dropped. An event whose gossip is held
// is let go before it is forgotten.
//
// # Limits
//
//   - 32 neighbours;
//   - 1 MiB and 4 KiB for an event's payload, 256 bytes for its publisher's name, 256
//     IDs in a message;
//   - 8,192 remembered events, with 4 MiB of them for neighbours to pull;
//   - 512 wanted events on the word of one neighbour;
//   - 4,096 events and 4 MiB that wait for those before them;
//   - 1,024 publishers whose tree and order are known.
//
// # Trust
//
// A neighbour that lies costs time and no event. An event that it announces is asked of
// it once, and then of others. An event that it forges is one more event, since an ID
// covers all of an event. But nobody proves who an event is from: a liar can publish
// under the name of another node, as it can in serf. Then that node's events may come
// late or out of order.
package plumtree
