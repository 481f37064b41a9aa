package gossip

import (
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func openPorts(t *testing.T, addr string) *Ports {
	t.Helper()
	p, err := Listen(&memberlist.Config{BindAddr: addr, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { CloseTransport(p) })
	return p
}

// Packets and streams go from ports to ports, also to those of memberlist. Each packet has
// a buffer of its own size.
func TestPortsCarryPacketsAndStreams(t *testing.T) {
	ours := openPorts(t, "127.0.0.1")
	theirs, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { CloseTransport(theirs) })
	address := func(m memberlist.Transport) memberlist.Address {
		ip, port, err := m.FinalAdvertiseAddr("", 0)
		if err != nil {
			t.Fatal(err)
		}
		return memberlist.Address{Addr: (&net.TCPAddr{IP: ip, Port: port}).String()}
	}
	for name, way := range map[string]struct{ from, to memberlist.NodeAwareTransport }{
		"to ours": {theirs, ours}, "from ours": {ours, theirs}, "among ours": {ours, openPorts(t, "127.0.0.1")},
	} {
		var first *memberlist.Packet
		for _, text := range []string{"first", "second"} {
			if _, err := way.from.WriteToAddress([]byte(text), address(way.to)); err != nil {
				t.Fatal(name, err)
			}
			got := <-way.to.PacketCh()
			if string(got.Buf) != text || got.From.String() != address(way.from).Addr || got.Timestamp.IsZero() {
				t.Errorf("%s: %q from %v at %v; want %q from %v", name, got.Buf, got.From, got.Timestamp, text, address(way.from))
			}
			if first == nil {
				first = got
			}
		}
		if _, ok := way.to.(*Ports); ok && (string(first.Buf) != "first" || cap(first.Buf) > 64) {
			t.Errorf("%s: once the next packet has come, the first is %q in %d bytes", name, first.Buf, cap(first.Buf))
		}
		conn, err := way.from.DialAddressTimeout(address(way.to), time.Minute)
		if err != nil {
			t.Fatal(name, err)
		}
		other := <-way.to.StreamCh()
		if conn.LocalAddr().String() != other.RemoteAddr().String() {
			t.Errorf("%s: a stream from %v, want it from %v", name, other.RemoteAddr(), conn.LocalAddr())
		}
		conn.Close()
		other.Close()
	}
}

// The address to advertise, and the errors, are those of memberlist's own ports.
func TestPortsAdvertiseAsMemberlistDoes(t *testing.T) {
	for _, bind := range []string{"127.0.0.1", "0.0.0.0"} {
		ours := openPorts(t, bind)
		theirs, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{bind}, Logger: log.New(io.Discard, "", 0)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { CloseTransport(theirs) })
		for _, advertise := range []string{"", "10.1.2.3", "2001:db8::1", "nowhere"} {
			ip, port, err := ours.FinalAdvertiseAddr(advertise, 99)
			wantIP, wantPort, wantErr := theirs.FinalAdvertiseAddr(advertise, 99)
			if wantPort == theirs.GetAutoBindPort() {
				wantPort = ours.Port()
			}
			if !ip.Equal(wantIP) || len(ip) != len(wantIP) || port != wantPort || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("on %s with %q: %v %d %v, and of memberlist %v %d %v", bind, advertise, ip, port, err, wantIP, wantPort, wantErr)
			}
		}
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	taken := openPorts(t, "127.0.0.1")
	_, err := Listen(&memberlist.Config{BindAddr: "127.0.0.1", BindPort: taken.Port()})
	if err == nil || !AddressInUse(err) || !strings.Contains(err.Error(), "TCP") {
		t.Errorf("%v, want the port taken", err)
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	port := udp.LocalAddr().(*net.UDPAddr).Port
	if _, err := Listen(&memberlist.Config{BindAddr: "127.0.0.1", BindPort: port}); err == nil || !AddressInUse(err) || !strings.Contains(err.Error(), "UDP") {
		t.Errorf("%v, want the port of packets taken", err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatalf("the port of streams is still held: %v", err)
	}
	tcp.Close()
}
