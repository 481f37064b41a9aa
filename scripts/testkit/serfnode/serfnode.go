// Package serfnode makes bare serf nodes for tests: plain serf without an agent,
// on a network in memory.
package serfnode

import (
	"io"
	"log"
	"net/netip"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// Node is a serf node.
type Node struct {
	*serf.Serf
	// Delegate takes messages as if they had come by gossip.
	Delegate memberlist.Delegate
	Addr     string // HOST:PORT
}

// New starts a node. The test shuts it down at its end. Times are those of
// memberlist's local profile; change may set others.
func New(t *testing.T, transport memberlist.NodeAwareTransport, name string, change ...func(*serf.Config)) *Node {
	t.Helper()
	conf := serf.DefaultConfig()
	conf.MemberlistConfig = memberlist.DefaultLocalConfig()
	conf.NodeName = name
	conf.Logger = log.New(io.Discard, "", 0)
	conf.LogOutput, conf.MemberlistConfig.LogOutput = nil, nil
	conf.MemberlistConfig.Logger = conf.Logger
	conf.MemberlistConfig.Transport = transport
	for _, c := range change {
		c(conf)
	}
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown() })
	return &Node{Serf: s, Delegate: conf.MemberlistConfig.Delegate, Addr: s.Memberlist().LocalNode().Address()}
}

// Member is a member as serf lists it.
func Member(name, addr string, status serf.MemberStatus) serf.Member {
	a := netip.MustParseAddrPort(addr)
	return serf.Member{Name: name, Addr: a.Addr().AsSlice(), Port: a.Port(), Status: status}
}
