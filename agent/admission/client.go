package admission

import (
	"net"
	"net/netip"
)

// network is how much of an IPv6 address names a client: one host has all addresses
// behind these bits.
const network = 64

// ClientOf names the client at an address: by its IP address without the port, or by
// its network where that is IPv6. All who use a Unix socket are one client, since it
// admits one user only.
func ClientOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	return ClientAt(addr.Network(), addr.String())
}

// ClientAt is [ClientOf] for an address in text.
func ClientAt(kind, addr string) string {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return kind
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if prefix, err := ip.Prefix(network); err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}
