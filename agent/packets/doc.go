// Package packets knows to which members UDP packets do not get through, though TCP
// does. That is so where a firewall or a container's published port lets only TCP
// pass. Membership goes on then, over TCP. Gossip and queries do not.
//
// # What is known
//
// Memberlist says that its packets to a member failed while a stream got through
// ([Watch.Suspect]). Other packages ask whether packets pass ([Watch.Pass]), and tell
// that a stream got through ([Watch.Connected]). The package then pings the member by
// packets until one is answered. Every 10 s it also pings a member that nobody suspects,
// one after the other. Memberlist says nothing if packets fail to get from this node to one
// member, as long as another member reaches that one.
//
// A member is named in [Watch.Warnings] after 5 pings
// in a row without an answer, if a stream got through meanwhile. So a member that
// hangs or has ended is not named. One answer ends it. The package cannot tell whose
// port is closed, that of the member or that of this node.
//
// # Blocking
//
// Suspect, Connected, Silent and Warnings return at once. Pass takes 2 s at most.
// [Watch.Run] sends all other pings, and logs one line a minute while a member is
// named.
//
// # Bounds
//
// The package keeps only names of members that are alive. While packets to a member
// are not answered, the member is pinged every 2 s: 8 members each round, drawn at
// random. It remembers 64 words of Suspect until Run has seen to them, and drops
// further ones: memberlist repeats them.
package packets
