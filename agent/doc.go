// Package agent is a serf node that carries the cluster's events to targets:
// it joins the gossip, takes in events, and hands them to a journal from which
// each target is served, to scripts, and to the streams of RPC clients.
//
//	gossip ─► intake ─► journal ─► delivery (one per target) ─► POST
//	             │
//	             ├─► runners (one per script): live, in order, bounded
//	             └─► subscribers (RPC streams): live, best effort
//
// # Order
//
// Every target, script and stream sees events in the order in which serf
// handed them to this node, except that user events which may coalesce are
// held for scripts and streams as serf holds them; targets get each at once.
//
// # Blocking
//
// Nothing here makes serf wait: not a gateway, a script, an RPC client, a log
// output or the journal's disk. [Intake] says how.
//
// # Loss
//
// An event that serf handed out reaches each target at least once (see package
// handler), and is lost to a script or stream only where its queue is full,
// which is counted and logged. What gossip itself loses on the way to this node
// is not known here.
package agent
