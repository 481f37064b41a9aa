// Package agent puts a serf node together that carries the cluster's events to
// its gateway. It joins the gossip, takes events in, and hands them to a journal,
// to scripts, and to the streams of RPC clients. This package only wires: [New]
// opens the parts, [Agent.Run] starts and stops them, [Agent.Reload] exchanges
// targets and scripts. Each part is a package of its own, and none of them knows
// this one.
//
//	gossip ─┐
//	links ──┼► intake ─► journal ─► delivery (one per target) ─► POST
//	local ──┤               ▲
//	fetch ──┤               └─ what a peer asks for
//	repair ─┘
//	serf ────► intake ─┬► runners (one per script): live, in order, bounded
//	                   └► subscribers (RPC streams): live, best effort
//
//	publish ─► intake, serf's gossip, links, packets
//
// The packages, each with its contract in its doc.go:
//
//   - api: the messages of the HTTP API, which clients import.
//   - broadcast: events to the other members, over links to each or along trees.
//   - config: files, environment and flags, compiled into one checked value.
//   - delegate: many members are asked by others of them.
//   - durable: publishes that wait until nodes have the event on their disks.
//   - fleet: how all members are, by their own words.
//   - gossip: the serf node, and all knowledge of serf's insides.
//   - intake: one stream in, in order, each event once.
//   - large: events that are too large for gossip, fetched by reference.
//   - link: streams to other agents on the gossip port.
//   - membership: joining, looking for lost members, mDNS, views.
//   - ops: the HTTP server.
//   - packets: to which members UDP is closed, though TCP is open.
//   - peers: which members are agentctl.
//   - plumtree: the protocol of the trees.
//   - publish: Lamport times for events, in order.
//   - repair: what a peer's journal has and this one lacks.
//   - suspicion: suspected losses, by holes in the Lamport times.
//   - rpc: the server of serf's RPC protocol.
//   - script: event scripts, and queries that a target answers.
//   - admission, dropped, files, logs, memnet, version: small parts that others share.
//
// # Order
//
// Every target sees events in the order in which their first copies came to this
// node, by whatever way. Scripts and streams see them in the order in which serf passed
// them on, and only those: package intake says why the two differ. The agent holds a
// user event that may coalesce for scripts and streams, as serf holds it. A large event
// comes when its payload does: a reference to it is no copy.
//
// # Blocking
//
// Nothing here makes serf wait: no gateway, script, RPC client, log output or disk.
// Package intake says how.
//
// # Loss
//
// An event that came to this node reaches each target at least once; package
// delivery says how. A script or stream loses an event only when its queue is full,
// which is counted and logged. Package repair finds and fetches events that did not
// arrive. If no peer still has them, the agent flushes each target.
//
// # Starting and stopping
//
// When the agent opens or starts a part, it pushes a step onto one stack. At its
// end it runs these steps backwards, also when a start fails. Each step has a time
// limit. Run returns the failures, and the reason why the agent ended.
//
// An agent with a drain timeout of 0 ends at once, as one that is called as serf. It
// leaves the stack alone, and does only what others or the next process would miss.
//
// An agent leaves the cluster only if somebody asked for the end: a signal that does, or
// an RPC client. After any other end the members go on to look for it, and its snapshot
// still knows them.
//
// # Glossary
//
//   - Broadcast: sending a published event to members without waiting for gossip.
//   - Burst: published events that share one Lamport time.
//   - Coalesce: serf's rule by which scripts and streams get the last event of a name.
//   - Copy: an event that came once more, by the same way or by another.
//   - Direct send: a packet or stream with one serf message to a stock member.
//   - Event clock: serf's Lamport clock for user events.
//   - Full sync: memberlist's exchange of whole states, every 15 to 60 seconds.
//   - Incarnation: one process of an agent, from its start to its end.
//   - Inject: handing serf a message as if a member had sent it.
//   - Known member: one that this node has seen alive or failed, and that did not leave.
//   - Link: a stream to a peer, for its events and its questions.
//   - Lost member: a known member that is not alive.
//   - Member: a node that serf lists, alive or not.
//   - Neighbour: an agent with which this node exchanges what goes along trees.
//   - Peer: a member that is an agentctl agent with links.
//   - Peer question: the query by which an agent finds peers.
//   - Reference: a small event that stands for a large one.
//   - Runner: runs one script, or posts queries to one target, one at a time.
//   - Sampled log: a log that says each kind of message seldom.
//   - Sink: a target or a script that is served.
//   - Stock member: a member that runs serf itself.
//   - Serve: bring events to a member that takes no part in trees.
//   - Tree: the way of a publisher's events over the links of neighbours.
//   - Unclassified member: one that joined, and may or may not be a peer.
//   - View: the members that a node sees alive.
//   - Way: how a copy came: gossip, link, local, repair or fetch.
//   - Window: serf's 512 Lamport times, beyond which it drops an event.
package agent
