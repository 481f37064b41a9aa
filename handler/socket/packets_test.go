package socket

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func packets(t *testing.T, addr string) (*Packets, netip.AddrPort) {
	t.Helper()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Skipf("no such address here: %v", err)
	}
	t.Cleanup(func() { udp.Close() })
	port := udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return NewPackets(udp), netip.AddrPortFrom(netip.MustParseAddrPort(addr).Addr(), port)
}

// Packets go between sockets of both families, and to and from those of package net, with
// the same addresses.
func TestPacketsComeWithTheirAddresses(t *testing.T) {
	loopback4, loopback6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	for name, tt := range map[string]struct {
		here, there string
		from, to    netip.Addr
	}{
		"IPv4":                    {"127.0.0.1:0", "127.0.0.1:0", loopback4, loopback4},
		"IPv6":                    {"[::1]:0", "[::1]:0", loopback6, loopback6},
		"to all addresses":        {"127.0.0.1:0", "0.0.0.0:0", loopback4, loopback4},
		"from all addresses":      {"0.0.0.0:0", "127.0.0.1:0", loopback4, loopback4},
		"IPv4 as a part of IPv6":  {"0.0.0.0:0", "127.0.0.1:0", loopback4, netip.AddrFrom16(loopback4.As16())},
		"IPv6 from all addresses": {"0.0.0.0:0", "[::1]:0", loopback6, loopback6},
	} {
		t.Run(name, func(t *testing.T) {
			here, addr := packets(t, tt.here)
			there, to := packets(t, tt.there)
			buf := make([]byte, 100)
			for _, write := range []func([]byte, netip.AddrPort) (int, error){here.WriteToUDPAddrPort, here.UDPConn.WriteToUDPAddrPort} {
				if n, err := write([]byte("hello"), netip.AddrPortFrom(tt.to, to.Port())); n != 5 || err != nil {
					t.Fatal(n, err)
				}
				n, from, err := there.ReadFromUDPAddrPort(buf)
				if err != nil || string(buf[:n]) != "hello" || from != netip.AddrPortFrom(tt.from, addr.Port()) {
					t.Errorf("%q from %v, %v; want it from port %d of %v", buf[:n], from, err, addr.Port(), tt.from)
				}
			}
		})
	}
}

func TestPacketsThatCannotBe(t *testing.T) {
	s, self := packets(t, "127.0.0.1:0")
	for name, to := range map[string]string{"another family": "[::1]:1", "a zone": "[fe80::1%lo]:1", "no such port": "127.0.0.1:0"} {
		to := netip.MustParseAddrPort(to)
		_, got := s.WriteToUDPAddrPort([]byte("x"), to)
		_, want := s.UDPConn.WriteToUDPAddrPort([]byte("x"), to)
		if got == nil || want == nil || got.Error() != want.Error() {
			t.Errorf("%s: %v, and of package net %v", name, got, want)
		}
	}
	if n, err := s.WriteToUDPAddrPort(make([]byte, 70_000), self); n != 0 || err == nil {
		t.Errorf("a packet that is too long: %d, %v", n, err)
	}
	s.SetReadDeadline(time.Unix(1, 0))
	if _, _, err := s.ReadFromUDPAddrPort(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("beyond the deadline: %v", err)
	}
	s.Close()
	if _, _, err := s.ReadFromUDPAddrPort(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
