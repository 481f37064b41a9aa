// Package agent is a serf node that carries the cluster's events to targets:
// it joins the gossip, takes in events, and hands them to a journal from which
// each target is served, to scripts, and to the streams of RPC clients.
//
//	gossip ─┐
//	links ──┼► intake ─► journal ─► delivery (one per target) ─► POST
//	local ──┤    │          ▲
//	fetch ──┤    │          └─ what a peer asks for
//	repair ─┘    │
//	             ├─► runners (one per script): live, in order, bounded
//	             └─► subscribers (RPC streams): live, best effort
//
// # Order
//
// Every target, script and stream sees events in the order in which their first
// copies came to this node, whatever the way, except that user events which may coalesce are
// held for scripts and streams as serf holds them; targets get each at once. A
// large event comes when its payload does: a reference to it is no copy.
//
// # Blocking
//
// Nothing here makes serf wait: not a gateway, a script, an RPC client, a log
// output or the journal's disk. [Intake] says how.
//
// # Loss
//
// An event that came to this node reaches each target at least once (see package
// handler), and is lost to a script or stream only where its queue is full,
// which is counted and logged. What no way brought here is found and fetched by
// package repair, or each target is flushed; a large event of which only the
// reference came by package large, or those targets are that want it. DESIGN.md has the ways and their
// limits.
//
// # Operations
//
// Package ops has the operations endpoint: health, metrics and the HTTP API, of
// which package api has the messages.
package agent
