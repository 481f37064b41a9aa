// Package rpc tests serf's RPC protocol both ways: package rpcclient asks stock
// agents, and serf's program and its Go client ask agents of ours. With -update it
// records the conversations in testdata/rpc, which the tests of other packages replay.
package rpc
