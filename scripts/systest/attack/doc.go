// Package attack tests hostile and broken clients of the RPC server: they may cost only themselves.
package attack
