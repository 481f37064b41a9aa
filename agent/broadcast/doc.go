// Package broadcast brings events to the other members of the cluster without waiting
// for gossip: over links to agents of ours, and straight to all others.
//
//	small cluster   publisher ─► every agent (a link), every other member (straight)
//	large cluster   publisher ─► 16 neighbours or fewer ─► theirs ─► …   (package plumtree)
//	                two agents of all ─► each member that takes no part in trees
//
// A cluster is large for a node if it knows more than 64 agents, or more than 64 members
// that take no part in trees. Each node decides that for the events that it publishes, and
// takes those of others by both ways.
//
// # Order
//
// The events of one publisher come in the order of the calls of [Broadcast.Send]. In a large
// cluster an event that was held up for a second comes late, behind later ones, and is
// counted as that. A publisher changes over to trees
// once its links have nothing on their way, or after five seconds. It changes back when it
// has published nothing for a second. So no event overtakes another by that.
//
// A member that two agents serve gets each event from both, each time in order. Its own
// check for copies takes the first.
//
// # Who takes part
//
// A peer says over a link that it takes part in trees ([Feature]). Other nodes hear of it in
// two ways. Agents compare lists (package peers). And news goes along the trees: two agents
// serve each member that nobody knows. They ask it, and tell all if it is an agent.
//
// A node that hears of more than 16 agents within ten seconds sends no news of agents. If a
// cluster starts at once, the lists alone tell of them.
//
// A node chooses its neighbours from all agents that it knows of, and has the links to them
// kept. While most members are unknown to it, or it hears of many agents, it waits until it
// has heard of none for a second, for five seconds at most.
//
// If a link breaks, the neighbour is none until there is a new one. Then both tell each other
// of the events of the last ten seconds. A member that chooses this node is a neighbour here,
// too, while there is room.
//
// # Changes of members
//
// [Broadcast.Changed] is told of each change as serf finds it. A tenth of a second later the
// links to members that are gone are closed, and what was known of them is forgotten.
//
// # Gossip
//
// Serf gets every event at once, but gossip of an event of the trees is held back, while
// every member alive takes part and all chosen neighbours are there. Package plumtree says
// when it is let go, and why no event is lost by that.
//
// # Blocking
//
// [Broadcast.Send] never waits. [Broadcast.Receive] returns once the events are taken in. If
// that waits, for a journal say, messages of other neighbours wait as well, but each was
// passed on before.
//
// # Acknowledgement
//
// An event is acknowledged once the intake has it, whichever way it came. One that waits for
// those before it is not acknowledged meanwhile, nor is a copy of it from another neighbour.
// Digests and the like are acknowledged within half a second, many at once. A neighbour that
// has acknowledged nothing for two seconds counts as stuck, and after four it is none.
//
// # Loss
//
// If a link or a member has no room for a message, the message is counted and left to
// gossip, and a neighbour hears again of what it may lack. Package repair finds the events
// that gossip loses.
//
// # Limits
//
// A node has at most 32 neighbours, and serves at most 200 members over links and 200
// straight. News has at most 16 names. Package plumtree lists the limits of memory.
//
// # Trust
//
// A node believes others that a member is an agent, until a link shows otherwise. A liar can have each
// of 16 nodes dial a member that is no agent, once in ten seconds and then ever more seldom.
// It can not make a member lose an event: while nobody has found out, two agents and gossip
// bring it. A neighbour must send from the address of the member whose name it gives.
package broadcast
