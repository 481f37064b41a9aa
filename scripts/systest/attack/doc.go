// Package attack tests hostile and broken clients of the agent's ports, and strangers who
// reach the gossip port: they may cost only themselves.
//
// TestAttacks tries a table of attacks on a stand of two honest agents, and measures each
// alike. Every family of attacks is a file with a slice of trials. Another build of the
// program can be attacked beside this one, which shows that the attacks bite.
//
// TestAbuse sets hostile clients of RPC on stock serf and on agentctl, side by side.
// TestTerminals runs every command that prints beside a hostile member and a hostile
// gateway.
package attack
