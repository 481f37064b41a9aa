// Package ops is the operations endpoint of an agent: the HTTP server with its
// health, its metrics and the API. Package api has the messages.
//
// [New] makes a [Server] from a [Config] and starts nothing. [Server.Run] serves
// until its context ends. A server without a listener serves no HTTP. It still
// answers other members' questions about events, and names the parts of the agent
// that hang.
//
// # Blocking
//
// A client holds nothing up, however slow it is. The server reads the journal in
// small steps. It keeps no event for a client, only the client's position in the
// journal. There are limits on searches, followers, requests that wait for all
// nodes, connections, and the bytes of a request and of a page. A client beyond a
// limit waits for a moment, or is told to come again.
//
// Where there is no room for a newcomer, the server closes a connection that waits for
// a request, as package admission says. So a probe is answered whatever others hold.
// A request whose connection was closed so is not begun.
//
// # Order
//
// Pages and streams list events in the journal's order. A follower gets each
// event once, when the event waits for no target any more, or a second after it
// was first known.
//
// # Loss
//
// A follower that reads too slowly loses events, and is told how many. A page
// leaves out what the journal let go of while the client read.
//
// # Truth
//
// An answer says what is true at that moment, and WORDS.md says of each word what makes
// it true. /healthz and /readyz ask every part for something small that only a working
// part can give. /v1/events/{id}/nodes says "applied" only for a member that has said so
// itself, and "unasked" or "unknown" for every other. In a large cluster other members
// pass on what it says. Then two of them must have passed on the same, along paths that
// have no node in common: package delegate says what that is worth.
//
// Each member says itself how it is in /v1/cluster: see package fleet.
//
// # Changes
//
// Two requests change something: publishing an event, and a replay. Both need the
// token, if the agent has one, and neither can come from a web page of another
// origin. The server changes nothing else.
package ops
