package gossip

import (
	"bufio"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

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

// defaultAddr is an address of the default route's interface: a private one before
// others, as memberlist has it. It is not valid where there is none.
func (r routes) defaultAddr() netip.Addr {
	iface, err := net.InterfaceByName(r.defaultInterface())
	if err != nil { // there is no route, or the interface has just gone
		return netip.Addr{}
	}
	prefixes, _ := prefixesOf(iface)
	return best(prefixes, r.v6, private, public)
}

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
