// Package membership brings this node into its cluster and keeps it there.
//
//   - [Joiner] does the joins that were asked for at the start, and knows whether this
//     node has joined.
//   - [Rejoiner] finds parts of the cluster again that this node has lost, for as long
//     as the agent runs.
//   - [Discovery] finds other nodes on the local network by mDNS.
//   - [Views] compares whom this node sees alive with whom its peers see.
//
// Serf holds the list of members. What this package adds is what serf forgets: the
// known members, which this node has seen alive and which did not leave.
//
// # Starting and ending
//
// Each part has a Run that works until its context ends. Constructors start nothing,
// except for [NewDiscovery]: the server of the mDNS library runs from then on, until
// Run has ended or Close was called. Only the Joiner's Run returns an error:
// a requested join failed for good, and the program has to end.
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
// At most 1,024 known members are remembered, and a lost one for 30 days. They are
// kept in members.json in the data directory, which is replaced as a whole and never
// written if it could not be read. A round asks three lost members and dials three
// addresses. An mDNS look joins at most 64 new addresses, and 1,024 are remembered:
// anyone on the local network can answer with any address.
package membership
