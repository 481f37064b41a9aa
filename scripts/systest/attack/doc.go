// Package attack tests hostile and broken clients of the RPC server, and strangers who reach
// the gossip port: they may cost only themselves.
package attack
