// Package gossip is the serf node of an agent. It alone knows the private facts
// about serf and memberlist: serf's configuration, its event clock, its messages,
// and how old an event may be. It also knows the words in which memberlist refuses a
// protocol. The tests compare each of these with the version of serf that the module
// pins. They fail if another version differs.
//
// # Order
//
// A [Node] puts nothing in order. [Node.Inject] gives serf a message as if a
// member had sent it. Serf drops an event that it knows, or that is more than 512
// Lamport times behind its clock. It hands any other event to its event channel,
// and passes it on to other members.
//
// # Blocking
//
// No method waits for a member, except those of serf that say so: Join, Leave,
// RemoveFailedNode, SetTags and the key manager's. [Node.ForceLeave] and [Node.Mend]
// wait for members, too, for a few seconds at most. Serf sends to its event channel
// while it holds a lock. So the maker of the node must read the channel at once and
// always.
//
// # Standing in front of serf
//
// A delegate of this package stands between memberlist and serf. It sees each
// message and each full sync before serf does. It tells [Config].Receive of the user
// events in them, and passes all of them on to serf. So what serf drops as too old has
// been received nevertheless. Of a full sync it leaves out what is from before this
// node's time: see [Config].All and [Node.Join].
//
// The delegate keeps Lamport times from serf that no cluster can have counted up to:
// see horizon. It drops a message with such a time, and cuts it out of a full sync.
//
// # What nobody wants
//
// Events that [Node.Inject] hands to serf do not go to serf's event channel if
// [Config.Unwanted] says that nobody has a use for them there. Serf remembers them and
// passes them on like any other. If there is a snapshot file, the channel still gets the
// first event of each Lamport time, because serf writes the file behind it.
//
// # Loss
//
// Memberlist holds 1,024 messages that came in packets, and drops what comes while that
// many wait. It tells so in a log line only. This package counts those lines, and tells
// [Config].Lost how many messages were dropped, once a second at most. Full syncs, links
// and streams do not use that queue.
//
// # Memory
//
// The ports have one buffer for all packets, and copy each into one of its size:
// memberlist's own ports take 64 KiB for each. A transport of this package stands between
// memberlist and the ports, or whatever else is in their place. It copies each packet,
// too, because memberlist keeps messages that wait with the buffer of their packet.
//
// It also decrypts what is encrypted, and refuses what is not where it has to be. It
// inflates what is compressed: a packet to 64 KiB at most, and a stream as it is read.
// Memberlist gets the plain rest. So it neither inflates nor decrypts what would make it
// grow or panic.
//
// All open streams together hold 48 MiB at most: 32 KiB for each, what it brings, and what
// its head announces. Beyond that the host that holds most loses its heaviest stream. A
// message of serf's with more than 524,288 values is not decoded, and those of 64 KiB and
// more are decoded one after another. [Config].Oversized is told of each refusal.
//
// A node takes in 10,000 members at most, with those that failed or left. It goes on to
// hear of those that it knows. Serf keeps each word about an unknown node for 5 minutes, so
// it gets 4,096 of them in that time at most.
//
// # What cannot be seen
//
// This package cannot see packets that the kernel drops, nor events that no member sends.
//
// # Log
//
// Whoever reaches the port can make serf and memberlist complain as fast as packets
// come. The log gets only some lines a minute of each such kind, and how many were left
// out.
//
// # Members that were forced to leave
//
// Serf believes an operator who forces a member to leave, even if the member is alive.
// It then lists the member as leaving, or forgets it after a prune. Memberlist has the
// member alive all the while, so it does not tell serf of it again.
//
// This package knows both lists. [Node.ForceLeave] and [Node.Mend] let a live member deny that it leaves,
// and tell serf again of one that serf forgot. A node of ours also denies by itself
// once a full sync shows a newer word of it than it gave.
package gossip
