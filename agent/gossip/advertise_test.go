package gossip

import (
	"net/netip"
	"strings"
	"testing"
)

// TestChoose has machines with all kinds of addresses advertise one.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		bind, route4, route6 string
		addrs                string
		want                 string
	}{
		{"10.0.0.7", "10.0.0.7", "", "10.0.0.7/24", ""}, // memberlist takes what it is bound to
		{"0.0.0.0", "192.0.2.1", "2001:db8::7", "127.0.0.1/8 10.0.0.7/24 192.0.2.1/24", "192.0.2.1"},
		{"0.0.0.0", "", "2001:db8::7", "127.0.0.1/8 10.0.0.7/24", "10.0.0.7"},
		{"0.0.0.0", "", "2001:db8::7", "127.0.0.1/8 169.254.3.4/16 2001:db8::7/64", "2001:db8::7"},
		{"0.0.0.0", "", "", "192.0.2.1/8 10.0.0.7/24 172.17.0.1/16 192.168.0.1/16", "172.17.0.1"},
		{"0.0.0.0", "", "", "192.0.2.1/24 198.51.100.1/8 fd00::7/64", "198.51.100.1"},
		{"0.0.0.0", "", "", "127.0.0.1/8 ::1/128 fe80::7/64 2001:db8::7/64 fd00::7/64", "fd00::7"},
		{"0.0.0.0", "", "", "127.0.0.1/8 ::1/128 fe80::7/64 169.254.3.4/16", "169.254.3.4"},
		{"0.0.0.0", "", "", "127.0.0.1/8 ::1/128 fe80::7/64", "127.0.0.1"},
		{"0.0.0.0", "", "", "::1/128 fe80::7/64", "::1"},
		{"0.0.0.0", "", "", "0.0.0.0/0 224.0.0.1/4", ""},
		{"::", "10.0.0.7", "2001:db8::7", "10.0.0.7/24 2001:db8::7/64", "2001:db8::7"},
		{"::", "10.0.0.7", "", "10.0.0.7/24 fd00::7/64", "10.0.0.7"},
		{"::", "", "", "10.0.0.7/24 fd00::7/64", "fd00::7"},
		{"::", "", "", "127.0.0.1/8 ::1/128 fe80::7/64 203.0.113.7/24", "203.0.113.7"},
		{"::", "", "", "127.0.0.1/8 ::1/128 fe80::7/64 169.254.3.4/16", "169.254.3.4"},
		{"::", "", "", "127.0.0.1/8 ::1/128", "::1"},
		{"::", "", "", "127.0.0.1/8", "127.0.0.1"},
		{"::", "", "", "", ""},
	} {
		var prefixes []netip.Prefix
		for _, p := range strings.Fields(c.addrs) {
			prefixes = append(prefixes, netip.MustParsePrefix(p))
		}
		if got := choose(c.bind, addrOf(c.route4), addrOf(c.route6), prefixes); got != addrOf(c.want) {
			t.Errorf("bound to %s, with default routes by %q and %q, of %q %s is advertised, want %s", c.bind, c.route4, c.route6, c.addrs, got, c.want)
		}
	}
}

// addrOf is an address, or the zero one for "".
func addrOf(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a
}
