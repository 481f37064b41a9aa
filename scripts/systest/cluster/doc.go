// Package cluster tests a cluster of stock serf and agentctl agents: what each side sends, the other has to take.
package cluster
