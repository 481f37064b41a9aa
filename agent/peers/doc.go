// Package peers knows which members of the cluster are peers: agents of ours that
// take peer links. All other members run stock serf, or an agent without links,
// and get events by gossip alone.
//
// A node learns about a member in two ways. It sends a query of serf's, which stock
// serf does not know and a peer answers. And it sees the queries of others: only a
// peer sends one, so the sender is a peer.
//
// # Who is asked, and when
//
// A node that publishes asks all members that it sends to ([Peers.Is]). A node that
// only compares its journal asks a few ([Peers.Find]), and so do nodes that see
// unclassified members join ([Peers.Joined]). In a large cluster all of these wait
// for a random time first, so that a cluster which starts at once does not flood
// its own gossip. A member that does not answer is asked again, ever less often:
// it may have been changed for a peer.
//
// # Order and truth
//
// An answer holds from when it comes until the member leaves or fails
// ([Peers.Forget]). What a node says about itself is believed: a member that lies
// gets messages over a link that it does not take, and gossip brings them anyway.
//
// # Blocking
//
// Every method returns at once. [Peers.Run] sends the questions and the answers;
// until it runs, both wait.
//
// # Loss and bounds
//
// Questions and answers are lost as gossip loses them, and are repeated. Names come
// from the network, so something is kept of members only: never of more names than
// the cluster has members. At most 256 questions of others wait for an answer, and
// those beyond go unanswered until they are asked again. At most 1,024 unclassified
// members are remembered until a question is sent.
package peers
