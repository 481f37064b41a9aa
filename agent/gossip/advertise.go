package gossip

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// advertised is the address that other members are to reach this one at, where
// -advertise does not say it: an address of the interface that the default route
// goes out by. It is not valid, and memberlist chooses, where the gossip is bound
// to one address, and where there is no default route.
//
// Memberlist takes a private address of any interface, that of the largest
// network first, which may be that of a bridge for containers: there is one on
// each machine, and it leads to none of them. For a socket of IPv6 it takes ::.
func advertised(bind string) (netip.Addr, error) {
	families := map[string][]routes{
		"0.0.0.0": {ipv4Routes},
		"::":      {ipv6Routes, ipv4Routes}, // such a socket takes IPv4 too
	}
	for _, family := range families[bind] {
		name := family.defaultInterface()
		if name == "" {
			continue
		}
		addrs, err := interfaceAddrs(name)
		if err != nil {
			continue // it has just gone
		}
		if addr := reachable(addrs, family.v6); addr.IsValid() {
			return addr, nil
		}
	}
	if bind == "::" {
		return netip.Addr{}, errors.New("there is no default route that tells which address others reach this node at: give it with -advertise")
	}
	return netip.Addr{}, nil
}

// interfaceAddrs are the addresses of a network interface, as the system lists
// them.
func interfaceAddrs(name string) ([]netip.Addr, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	list, err := iface.Addrs()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if ipnet, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(ipnet.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs, nil
}

// reachable picks the address of an interface to advertise: a private one
// before others, as memberlist does, else the first.
func reachable(addrs []netip.Addr, v6 bool) (picked netip.Addr) {
	for _, a := range addrs {
		if a.Is6() != v6 || !a.IsGlobalUnicast() {
			continue
		}
		if a.IsPrivate() {
			return a
		}
		if !picked.IsValid() {
			picked = a
		}
	}
	return picked
}

// routes are the kernel's routes of one family of addresses, as Linux shows
// them in a file: a line for each, in columns.
type routes struct {
	v6      bool
	file    string
	columns int
	metric  int // which column is the metric, as flags and iface
	base    int // of the metric
	flags   int
	iface   int
	toAll   func(columns []string) bool // whether the route is to everywhere
}

var (
	ipv4Routes = routes{
		file: "/proc/self/net/route", columns: 11, iface: 0, flags: 3, metric: 6, base: 10,
		toAll: func(c []string) bool { return c[1] == "00000000" && c[7] == "00000000" },
	}
	ipv6Routes = routes{
		v6: true, file: "/proc/self/net/ipv6_route", columns: 10, iface: 9, flags: 8, metric: 5, base: 16,
		toAll: func(c []string) bool { return strings.Trim(c[0], "0") == "" && c[1] == "00" },
	}
)

// Flags of a route: RTF_UP and RTF_REJECT.
const (
	routeUp     = 0x1
	routeReject = 0x200
)

// defaultInterface names the interface of the default route, of several that
// with the lowest metric; "" where there is none, and on other systems.
func (r routes) defaultInterface() string {
	f, err := os.Open(r.file)
	if err != nil {
		return ""
	}
	defer f.Close()
	return r.pick(f)
}

// pick reads the routes and names the default route's interface.
func (r routes) pick(from io.Reader) (name string) {
	least := uint64(math.MaxUint64)
	for lines := bufio.NewScanner(from); lines.Scan(); {
		c := strings.Fields(lines.Text())
		if len(c) < r.columns || !r.toAll(c) {
			continue
		}
		flags, err := strconv.ParseUint(c[r.flags], 16, 32)
		if err != nil || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		if metric, err := strconv.ParseUint(c[r.metric], r.base, 32); err == nil && metric < least {
			name, least = c[r.iface], metric
		}
	}
	return name
}
