// Package admission bounds what the clients of a server hold at a time, so that a
// client which takes too much harms only itself.
//
// A [Limit] is about connections, and a [Share] about what is done over them.
// Clients are told apart by their address (see [ClientOf]).
//
// # Connections
//
// A connection either works or waits. It works while it does what the server took
// it for. It waits while that depends on the client alone: before the first
// request, and between two.
//
// A newcomer is let in as long as any connection waits. Where there is no room, the
// server gives up a waiting connection: the oldest of the client with the most of
// them. So silent connections cost those who hold them, and neither a probe nor
// another client. Working connections are never given up. One client may hold only a
// part of all connections.
//
// # What it does not do
//
// Processes on one host share an address, and so they are one client. Among them
// it holds only that a newcomer gets in.
package admission
