// Package membership brings this node into its cluster and keeps it there.
//
//   - [Joiner] does the joins that were requested at the start, and knows whether
//     this node has joined.
//   - [Rejoiner] finds lost parts of the cluster again, for as long as the agent runs.
//     It also brings back live members that an operator forced to leave.
//   - [Discovery] finds other nodes on the local network by mDNS.
//   - [Views] compares the members that this node and its peers see alive.
//
// Serf holds the list of members, and forgets some. So this package remembers the
// known members: this node has seen them alive, or serf lists them as failed, and
// they did not leave.
//
// # Starting and ending
//
// Each part has a Run that works until its context ends. Constructors start nothing,
// with one exception. [NewDiscovery] starts the server of the mDNS library, and the
// end of Run or Close stops it. Only the Joiner's Run returns an error: a requested
// join failed for good, and the program has to end.
//
// # What joined means
//
// A node has joined once a join of any kind has reached a node, or once it sees other
// members alive while its own joins still fail. A node that was to join nobody has
// joined from the start. It stays so: a node that later loses all others has joined.
//
// # Order
//
// The Rejoiner leaves the names of -retry-join alone until the Joiner is done. It
// looks for lost members from its first round on. A lost member is asked by a packet
// before it is dialed, since another node may have its address by now, even one of
// another cluster.
//
// # Blocking
//
// A dial takes as long as serf's time limit, and no context ends it. So a Run may
// return that much later than its context ends.
//
// # Loss and bounds
//
// The package remembers at most 1,024 known members, and a lost one for 30 days. In a
// larger cluster, up to 512 of them are lost ones, and each node remembers others.
//
// It keeps them in members.json in the data directory. It writes that file at once when
// serf's list of members changes ([Rejoiner.Changed]), and further changes together, a
// second later. For each known member that is 10 ms more, so that it writes 10 KB a second
// at most. It replaces the file as a whole, and never writes it if it could not read it.
//
// Each join brings all members. So of the addresses that a name of -retry-join stands for,
// a try joins 8 at most. A round asks three lost members, until it has joined one, and
// dials three addresses. An mDNS look joins at most 64 new addresses, and remembers 1,024:
// anyone on the local network can answer with any address. Looks come each minute, and
// in a cluster of more than 64 members as much more seldom as it is larger.
package membership
