// Package link lets agents talk straight to each other on the gossip port. A
// [Transport] wraps memberlist's and takes out the streams that begin with a
// byte of ours; [Links] opens, accepts and uses such links. What travels on
// them is bytes: this package knows nothing of serf or of events. DESIGN.md
// beside this file draws the protocol.
//
// # Order
//
// What is sent to one peer is given to that peer's Deliver in the order in
// which Send and Broadcast were called, from one call to the next also over
// broken links. Different peers are independent of each other.
//
// # Blocking
//
// Send and Broadcast never wait: they append to bounded queues, one per peer.
// A peer that is slow, gone or hung delays no other peer. Deliver, Behind and
// the handlers run on goroutines of this package; a Deliver that does not
// return stops the stream of its one peer, and that peer's queue fills up.
//
// # Loss
//
// A message is kept until the peer's Deliver has returned, and sent again over
// a new link where one broke. The receiver knows each sending process by a
// random ID and drops what it has had by sequence number, so that Deliver gets
// each message once for as long as both processes live; a receiver that has
// talked to very many senders since (see sourcesLimit) can get the last
// messages twice. Lost are: what does not fit in a peer's queue, what is sent to
// a peer that is no agent of ours, what Forget drops, and what is not
// acknowledged when Run ends. Each is counted, and the first two are reported
// to Behind.
//
// # Trust
//
// Where the cluster has a keyring, a link starts with a handshake that only a
// holder of one of its keys completes, and everything after it is encrypted
// and authenticated. Without a keyring anyone is trusted, as gossip does, and a
// peer is who it says it is. All limits hold in both cases.
package link
