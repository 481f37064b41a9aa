// Package link lets agents talk straight to each other on the gossip port. A
// [Transport] wraps memberlist's and takes out the streams that begin with a
// byte of ours. [Links] opens, accepts and uses such links. They carry bytes:
// this package knows nothing of serf or of events. DESIGN.md beside this file
// draws the protocol.
//
// # Order
//
// A peer's Deliver gets messages in the order of the calls of Send. The
// order holds from one call to the next, and across broken links. Different
// peers are independent of each other.
//
// # Blocking
//
// Send never waits: it appends to bounded queues, one for each peer. A
// slow, hung or absent peer delays no other peer. Deliver, Behind and the
// handlers run on goroutines of this package. If a Deliver does not return, only
// the stream of its peer stops, and the queue at that peer fills up. Stuck names the
// peers that acknowledge nothing.
//
// # Kept links
//
// A link is opened when there is something to say, and closed when it was idle for five
// minutes. It carries both directions, unless the peer is of an earlier version or its link
// does not come from its address. Of two links that were opened at once, one is closed. Links to the peers that Keep names are there all the time, so that the first
// message needs no handshake. Lost tells of each that broke or could not be opened.
//
// A peer may be gone without a word. If nothing is sent to it, a link to it stays for up to
// 3 minutes and 20 seconds. A link from it stays for up to 6 minutes and 30 seconds. A failure
// detector is to call Forget before. In return an idle link costs a ping in three minutes,
// from its opener, and about 50 KiB at each end if both send on it.
//
// # Loss
//
// A sender keeps a message until the peer acknowledges it. The peer's Deliver says when
// that is: at once, half a second later along with others, or once its caller says so.
//
// If a link breaks, the sender sends what was not acknowledged again over a new one. The
// receiver knows each sender by a random ID and by its host. By sequence number it drops
// messages that it has had. So Deliver gets each message once while both processes run, with
// one exception.
//
// The last messages can come twice if the receiver has heard 1,024 other
// senders since, or if the sender's or the receiver's address changes. It counts as such a
// change if a node dials from another host than its address has.
//
// Five kinds of messages are lost. The first four are counted, and the first three
// are reported to Behind:
//
//   - messages that do not fit in the peer's queue of 32,768 messages and 16 MiB;
//   - messages that are longer than the peer takes;
//   - messages to a member that is no peer;
//   - messages that Forget drops;
//   - messages that are not acknowledged when Run ends.
//
// # Limits
//
// There are at most 256 links in each direction. A further link closes the least
// used one of who has most links, or waits while all links that this node opened are
// busy or kept. This package hears at most 64 strangers at a time, 16 of one host. A message is
// at most as long as Config.MaxMessage, and a request takes at most ten seconds.
//
// Links that exceed a limit of memory are closed. Their bytes count until they are free:
//
//   - 12 MiB for the streams of a host with a member;
//   - 16 MiB for those of all other hosts together;
//   - 16 MiB for the answers of a host;
//   - 48 MiB for all streams of others, and as much for all answers;
//   - 48 streams for a link.
//
// # Trust
//
// If the cluster has a keyring, a link starts with a handshake that needs one of
// its keys. Everything after it is encrypted and authenticated. Without a
// keyring anyone is trusted, as with gossip, and a peer is who it says it is.
// All limits hold in both cases. A sender's ID for a peer is told to that peer
// alone, so others cannot make the peer drop what the sender sends.
//
// A node sends over a link from a peer only if it comes from the member of that name. In a
// cluster without a keyring a program on the member's host could pose as the member.
//
// A link without encryption has checksums, unless the peer is of an earlier version. A bit
// that was flipped on the way closes such a link, and the messages come over a new one.
// Checksums are no protection against an attacker.
package link
