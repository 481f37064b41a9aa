package peers

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
)

// Of is a member as the links know it.
func Of(m serf.Member) link.Peer {
	return link.Peer{Name: m.Name, Addr: Addr(m)}
}

// Addr is where a member is reached.
func Addr(m serf.Member) string {
	return net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port)))
}

// Member is a node with a link as a member: without tags or status, and without an address
// where the link has none that is a number.
func Member(p link.Peer) serf.Member {
	m := serf.Member{Name: p.Name}
	if addr, err := netip.ParseAddrPort(p.Addr); err == nil {
		m.Addr, m.Port = addr.Addr().AsSlice(), addr.Port()
	}
	return m
}

// AliveNames are the members that count as alive, in the order of their names.
func AliveNames(members []serf.Member) (names []string) {
	for _, m := range members {
		if m.Status == serf.StatusAlive {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}
