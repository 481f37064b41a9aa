package gossip

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-metrics"
	"github.com/hashicorp/go-sockaddr"
	"github.com/hashicorp/memberlist"

	"agentctl/handler/backoff"
	"agentctl/handler/socket"
)

const (
	// packetBuffer is for any packet.
	packetBuffer = 64 << 10
	// packetsWaiting is how many bytes of packets the system is asked to hold.
	packetsWaiting = 2 << 20
)

// acceptPauses are between attempts to accept a stream, while the process has no file
// descriptors left.
var acceptPauses = backoff.Backoff{Min: 5 * time.Millisecond, Max: time.Second}

// Ports are the gossip ports, of TCP and of UDP, with one number. As a transport it does
// what memberlist's NetTransport does, for one address. That takes a new buffer of 64 KiB
// for each packet, which made up most of what an agent at rest allocated. This one has
// one buffer, and hands out copies.
type Ports struct {
	bind    string // as configured
	tcp     *net.TCPListener
	udp     *socket.Packets
	logger  *log.Logger
	labels  []metrics.Label
	packets chan *memberlist.Packet
	streams chan net.Conn
	closed  atomic.Bool
	readers sync.WaitGroup
}

// open opens the ports. With port 0 the system chooses a number.
func open(conf *memberlist.Config) (*Ports, error) {
	ip, port := net.ParseIP(conf.BindAddr), conf.BindPort
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port})
	if err != nil {
		return nil, fmt.Errorf("failed to start TCP listener on %q port %d: %w", conf.BindAddr, port, err)
	}
	port = tcp.Addr().(*net.TCPAddr).Port
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("failed to start UDP listener on %q port %d: %w", conf.BindAddr, port, err)
	}
	for size := packetsWaiting; size > 0 && udp.SetReadBuffer(size) != nil; size /= 2 {
		// A smaller one loses more of a burst, and works.
	}
	p := &Ports{
		bind: conf.BindAddr, tcp: tcp, udp: socket.NewPackets(udp), logger: conf.Logger, labels: conf.MetricLabels,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
	}
	p.readers.Go(p.accept)
	p.readers.Go(p.receive)
	return p, nil
}

// Port is the number of both ports.
func (p *Ports) Port() int { return p.tcp.Addr().(*net.TCPAddr).Port }

func (p *Ports) accept() {
	for failures := 0; ; {
		conn, err := p.tcp.AcceptTCP()
		if err == nil {
			failures = 0
			p.streams <- conn
			continue
		}
		if p.closed.Load() {
			return
		}
		p.logger.Printf("[ERR] memberlist: Error accepting TCP connection: %v", err)
		failures++
		time.Sleep(acceptPauses.Ceiling(failures))
	}
}

func (p *Ports) receive() {
	buf := make([]byte, packetBuffer)
	for {
		n, from, err := p.udp.ReadFromUDPAddrPort(buf)
		at := time.Now()
		switch {
		case err != nil && p.closed.Load():
			return
		case err != nil:
			p.logger.Printf("[ERR] memberlist: Error reading UDP packet: %v", err)
			continue
		}
		addr := net.UDPAddrFromAddrPort(from)
		if n == 0 {
			p.logger.Printf("[ERR] memberlist: UDP packet too short (%d bytes) %s", n, memberlist.LogAddress(addr))
			continue
		}
		metrics.IncrCounterWithLabels([]string{"memberlist", "udp", "received"}, float32(n), p.labels)
		p.packets <- &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: addr, Timestamp: at}
	}
}

// PacketCh brings the packets, one at a time.
func (p *Ports) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh brings the streams.
func (p *Ports) StreamCh() <-chan net.Conn { return p.streams }

// FinalAdvertiseAddr is the address to advertise, which is that of the ports unless the
// configuration has one. With ports on 0.0.0.0 it is one of a private network.
func (p *Ports) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	local := p.tcp.Addr().(*net.TCPAddr)
	if ip != "" {
		addr := net.ParseIP(ip)
		if addr == nil {
			return nil, 0, fmt.Errorf("failed to parse advertise address %q", ip)
		}
		return shortest(addr), port, nil
	}
	if p.bind != "0.0.0.0" {
		return local.IP, local.Port, nil
	}
	private, err := sockaddr.GetPrivateIP()
	if err != nil {
		return nil, 0, fmt.Errorf("failed to get interface addresses: %w", err)
	}
	if private == "" {
		return nil, 0, errors.New("no private IP address found, and explicit IP not provided")
	}
	return net.ParseIP(private), local.Port, nil
}

// shortest is an IPv4 address in its four bytes.
func shortest(ip net.IP) net.IP {
	if ip4 := ip.To4(); ip4 != nil {
		return ip4
	}
	return ip
}

// WriteTo sends a packet.
func (p *Ports) WriteTo(b []byte, addr string) (time.Time, error) {
	return p.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a packet. The time is when it was sent.
func (p *Ports) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		named, err := net.ResolveUDPAddr("udp", a.Addr)
		if err != nil {
			return time.Time{}, err
		}
		to = named.AddrPort()
	}
	_, err = p.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// DialTimeout opens a stream.
func (p *Ports) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return p.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout opens a stream.
func (p *Ports) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", a.Addr, timeout)
}

// Shutdown closes the ports, and waits until what has come in is taken.
func (p *Ports) Shutdown() error {
	p.closed.Store(true)
	p.tcp.Close()
	p.udp.Close()
	p.readers.Wait()
	return nil
}
