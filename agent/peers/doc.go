// Package peers knows which members of the cluster are peers: agents of ours that
// take peer links. All other members run stock serf, or an agent without links,
// and get events by gossip alone.
//
// A node hears of a member in three ways. It sends a query of serf's, which stock serf
// does not know and a peer answers. It sees the queries of others: only a peer sends
// one. And a peer opens a link to it.
//
// Each of them is a claim ([Peers.Heard]): whoever can send a packet can say such a
// thing in the name of any member. So the node opens a link to the member, or uses one that
// came from the member's address. Only if the member speaks our protocol there, it is a peer
// ([Peers.Found]). Until then it counts as a stock member.
//
// # Who is asked, and when
//
// A node that publishes asks all receivers of the event ([Peers.Is]). A node that
// only compares its journal asks a few members ([Peers.Find]). So do nodes that see
// unclassified members join ([Peers.Joined]). In a large cluster the last two wait
// for a random time first. So a cluster that starts at once does not flood its own
// gossip.
//
// A node asks a silent member again, ever less often: it may have become a peer. It asks
// only members that a caller wants to know about, eight at most by name. A question about
// more is one to all. In a large cluster the node compares a list of agents before it, for
// half a second at most.
//
// Where only TCP is open between two nodes, neither the question nor the answer gets
// through. So with each question a node pings the asked members by packets. It asks
// those over TCP that do not answer two pings: it opens a peer link. The other side
// hears of this node by that.
//
// Stock serf logs a line for each such try. So a member that shows itself to be no
// peer is tried 3 times at most, until it leaves or fails. After false claims it is
// tried ever more seldom, down to once in ten minutes.
//
// # Agents of the trees
//
// In a cluster of more than 64 members nobody asks all, and some eight nodes look into the
// claim of a member whose question all hear. Agents that take part in broadcast
// trees compare lists of them instead: every 15 seconds on average, and within a second
// after a list has grown. While lists are the same that becomes two minutes. A node compares
// with agents to which links are kept, if it has any. A node believes a list ([Peers.Told]) until a link to a member
// shows that it is no agent ([Peers.NoPeer]).
//
// # Order and truth
//
// An answer over a link holds until the member leaves or fails ([Peers.Forget]). This
// package believes what a node says about itself at its own address. A member that lies
// gets messages over a link and does not take them, and gossip brings them anyway.
//
// # Blocking
//
// Every method returns at once. [Peers.Run] sends the questions and the answers;
// until it runs, both wait.
//
// # Loss and bounds
//
// Gossip may lose questions and answers, so they are repeated. Names come from the
// network, so the package keeps only names of members: never more names than the
// cluster has members. At most 256 questions of others wait for an answer. Further
// ones go unanswered until they are asked again.
//
// A question is answered only if the answer goes to the member that asked, at its own
// address, and no member is to relay it. A member gets one answer a second, and eight
// at once. All members together get 50 a second.
//
// A list has at most 65,536 names, of members alone. A node sends ten lists a second.
//
// The package remembers at most 1,024 unclassified members until it sends a question.
package peers
