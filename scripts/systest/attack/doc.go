// Package attack tests hostile and broken clients of the agent's ports, and strangers who
// reach the gossip port: they may cost only themselves. It also runs every command that
// prints beside a hostile member and a hostile gateway.
package attack
