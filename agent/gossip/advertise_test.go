package gossip

import (
	"net/netip"
	"strings"
	"testing"
)

const ipv4Table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
wlan0	00000000	0102A8C0	0003	0	0	600	00000000	0	0	0
down0	00000000	0102A8C0	0002	0	0	1	00000000	0	0	0
lo	00000000	00000000	0201	0	0	2	00000000	0	0	0
half0	00000000	00000000	0001	0	0	3	00000080	0	0	0
eth0	00000000	010200C0	0003	0	0	100	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
short	00000000
`

const ipv6Table = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000039 00000002 00000000 00000003     eth2
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`

func TestDefaultInterface(t *testing.T) {
	for _, c := range []struct {
		what   string
		family routes
		table  string
		want   string
	}{
		{"the lowest metric of those that are up and lead on", ipv4Routes, ipv4Table, "eth0"},
		{"the same for IPv6", ipv6Routes, ipv6Table, "eth2"},
		{"no default route", ipv4Routes, "docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0\n", ""},
		{"nothing", ipv6Routes, "", ""},
	} {
		if got := c.family.pick(strings.NewReader(c.table)); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestReachable(t *testing.T) {
	for _, c := range []struct {
		addrs string
		v6    bool
		want  string
	}{
		{"203.0.113.7 10.0.0.7 10.0.0.8", false, "10.0.0.7"},
		{"203.0.113.7 203.0.113.8", false, "203.0.113.7"},
		{"127.0.0.1 169.254.3.4 fd00::7", false, "invalid IP"},
		{"10.0.0.7 fe80::7 2001:db8::7 fd00::7", true, "fd00::7"},
		{"10.0.0.7 fe80::7 2001:db8::7", true, "2001:db8::7"},
		{"", true, "invalid IP"},
	} {
		var addrs []netip.Addr
		for _, a := range strings.Fields(c.addrs) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if got := reachable(addrs, c.v6).String(); got != c.want {
			t.Errorf("of %q (IPv6: %v) %s is advertised, want %s", c.addrs, c.v6, got, c.want)
		}
	}
}
