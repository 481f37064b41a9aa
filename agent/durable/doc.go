// Package durable tells a publisher when its event is in the synced journals of as many
// nodes as it asked for. A plain publish is answered as soon as this node has taken the
// event, some 10 ms before its journal is on the disk.
//
//	Publish ─► who can? ─► publish ─► this node: Took ─► Sync ─┐
//	             │                    peers: ask ─► Handle ────┼─► N of them ─► the answer
//	             └ fewer than N: refused, nothing published    └─► time is up ─► how many
//
// # The promise
//
// A node counts if it has a data directory, and has said that the event is in its
// journal, and that the journal's file was synced after that. Such a node delivers the
// event after a crash or a loss of power. Repair brings it to the others from there.
//
// Before anything is published, at least N nodes have said that they keep a journal on
// a disk that works. Such a word of a peer holds for ten seconds. So a peer that has
// failed since can still be counted on, and then fewer than N have the event in time.
// The event is published all the same, and must not be sent again.
//
// # Cost
//
// Each node is asked once for a publish: N of them at first, and one more each 200 ms
// while an answer is missing. Publishes that come together share the requests to a peer
// and the syncs of a disk.
//
// If N is above 64, most nodes are asked by delegates, as package delegate says. Each is
// asked twice then, along two paths, and N/16 more of them each 200 ms. Of 1,000 nodes
// with links of 1 ms, the publisher sends 32 requests and any other node 63 at most.
//
// # Blocking
//
// [Durable.Took] never waits. [Durable.Publish] waits until its context ends, at most.
// [Durable.Handle] waits half a second for an event that has not come yet, and then for
// its disk.
//
// # Limits
//
// A publish may ask for [MaxNodes] nodes. A peer is sent four requests at a time, with
// up to 1,000 IDs each. A node works on 32 requests at a time, and refuses more. Requests
// to a delegate are not among them: package delegate has their limits.
//
// # Trust
//
// A peer is believed about itself. One that lies can make a publisher think that it has an
// event. It can make nobody count it twice. A delegate that lies about others is not
// believed, unless another one on the other path tells the same lie.
package durable
