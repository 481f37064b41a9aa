package gossip

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
)

// advertised is the address that other members are to reach this one at, where
// neither -advertise nor -bind says it: gossip is bound to all addresses. It is not
// valid, and memberlist chooses, where gossip is bound to one address.
//
// Memberlist takes a private address of any interface, that of the largest network
// first, which may be that of a bridge for containers: there is one on each machine,
// and it leads to none of them. With no private address it does not start. For a
// socket of IPv6 it takes ::. So an address of the interface that the default route
// goes out by comes first here, then a private and a public one of any interface, and
// at last one that only this network or this machine reaches. A socket for all
// addresses takes both families, whichever -bind names; an address of that one comes
// first.
func advertised(bind string) netip.Addr {
	if bind != "0.0.0.0" && bind != "::" {
		return netip.Addr{} // nothing to choose, and listing interfaces and routes takes time
	}
	prefixes := localPrefixes()
	if bind == "0.0.0.0" && runtime.GOOS != "linux" && best(prefixes, false, private).IsValid() {
		return netip.Addr{} // memberlist finds one, and knows the default route there
	}
	return choose(bind, ipv4Routes.defaultAddr(), ipv6Routes.defaultAddr(), prefixes)
}

// choose is advertised, with an address of the default route of each family, and all
// addresses of the machine.
func choose(bind string, route4, route6 netip.Addr, prefixes []netip.Prefix) netip.Addr {
	near4, near6 := best(prefixes, false, private, public), best(prefixes, true, private, public)
	link4, loop4, loop6 := best(prefixes, false, linkLocal), best(prefixes, false, loopback), best(prefixes, true, loopback)
	switch bind {
	case "0.0.0.0":
		return cmp.Or(route4, near4, route6, near6, link4, loop4, loop6)
	case "::":
		return cmp.Or(route6, route4, near6, near4, link4, loop6, loop4)
	}
	return netip.Addr{}
}

// scope is from where an address can be reached.
type scope int

const (
	nowhere scope = iota // or from nobody who knows only the address
	private
	public
	linkLocal
	loopback
)

func scopeOf(a netip.Addr) scope {
	switch {
	case a.IsLoopback():
		return loopback
	case a.IsPrivate():
		return private
	case a.IsGlobalUnicast():
		return public
	case a.Is4() && a.IsLinkLocalUnicast(): // one of IPv6 says nothing without its zone
		return linkLocal
	}
	return nowhere
}

// best picks an address of a family: that of the first scope that has one, and in it
// that of the largest network, as memberlist does.
func best(prefixes []netip.Prefix, v6 bool, scopes ...scope) (picked netip.Addr) {
	for _, s := range scopes {
		bits := math.MaxInt
		for _, p := range prefixes {
			if a := p.Addr(); a.Is6() == v6 && scopeOf(a) == s && p.Bits() < bits {
				picked, bits = a, p.Bits()
			}
		}
		if picked.IsValid() {
			return picked
		}
	}
	return netip.Addr{}
}

// localPrefixes are the addresses of all interfaces that are up, with their networks.
func localPrefixes() (prefixes []netip.Prefix) {
	interfaces, _ := net.Interfaces() // with none, none is picked
	for _, iface := range interfaces {
		if iface.Flags&net.FlagUp != 0 {
			more, _ := prefixesOf(&iface) // it may have just gone
			prefixes = append(prefixes, more...)
		}
	}
	return prefixes
}

// prefixesOf are the addresses of a network interface with their networks, as the
// system lists them.
func prefixesOf(iface *net.Interface) (prefixes []netip.Prefix, err error) {
	list, err := iface.Addrs()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", iface.Name, err)
	}
	for _, a := range list {
		if ipnet, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(ipnet.IP); ok {
				bits, _ := ipnet.Mask.Size()
				prefixes = append(prefixes, netip.PrefixFrom(addr.Unmap(), bits))
			}
		}
	}
	return prefixes, nil
}

// interfaceAddrs are the addresses of a network interface, as the system lists
// them.
func interfaceAddrs(name string) ([]netip.Addr, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	prefixes, err := prefixesOf(iface)
	var addrs []netip.Addr
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs, err
}
