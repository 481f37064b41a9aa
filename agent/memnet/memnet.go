package memnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// packetQueue is how many packets wait for a node to read them.
	packetQueue = 1024
	// segment is how many bytes of a stream a packet of TCP carries, for loss
	// and counts.
	segment = 1460
)

// Config is what a Network does to what is sent. The zero value delays and
// loses nothing.
type Config struct {
	MinDelay, MaxDelay time.Duration // one way, drawn for each packet and write
	Loss               float64       // chance for each packet to be lost, 0 to 1
	Resend             time.Duration // by how much a stream's bytes are late that chance has hit
	// Counts tells by the first byte that is written to a stream whether it is
	// counted in Traffic. It may be nil: all are.
	Counts func(first byte) bool
	// Dialed is given each stream that is dialed, on the dialing side, and
	// returns what the dialer gets. It may be nil.
	Dialed func(net.Conn) net.Conn
}

// Network connects the transports that were added to it. Its methods are safe
// for concurrent use.
type Network struct {
	cfg Config

	mu    sync.Mutex
	nodes map[string]*Transport // by address
	apart map[string]bool       // addresses that Part has parted from the others
	deaf  map[string]bool       // addresses that ClosePackets has closed
	moved chan struct{}         // closed with the next Part
}

// New returns a network without nodes.
func New(cfg Config) *Network {
	return &Network{cfg: cfg, nodes: map[string]*Transport{}, moved: make(chan struct{})}
}

// Add makes a transport that is reached at addr, an IP address with a port, and
// takes the place of an earlier one there.
func (n *Network) Add(addr string) *Transport {
	t := n.transport(addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[addr] = t
	return t
}

func (n *Network) transport(addr string) *Transport {
	return &Transport{
		net: n, addr: Addr(addr),
		packets: make(chan *memberlist.Packet, packetQueue), streams: make(chan net.Conn), done: make(chan struct{}),
	}
}

// Part cuts the nodes at some addresses, or that are added there, off from all
// others: packets are lost, dials end with their time, and what is under way in
// open streams waits for the heal. It takes the place of an earlier Part; with no
// address the network is whole again.
func (n *Network) Part(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.apart = map[string]bool{}
	for _, addr := range addrs {
		n.apart[addr] = true
	}
	close(n.moved)
	n.moved = make(chan struct{})
}

// ClosePackets has all packets to some addresses lost, as by a firewall that lets only
// TCP pass. It takes the place of an earlier ClosePackets; with no address packets get
// everywhere again.
func (n *Network) ClosePackets(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deaf = map[string]bool{}
	for _, addr := range addrs {
		n.deaf[addr] = true
	}
}

// takesPackets tells whether packets to an address get there.
func (n *Network) takesPackets(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.deaf[addr]
}

// parted tells whether two nodes are, and when to look again.
func (n *Network) parted(a, b Addr) (parted bool, moved <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.apart[string(a)] != n.apart[string(b)], n.moved
}

// at is the node at an address; parted tells that what is sent from another does
// not get there.
func (n *Network) at(addr string, from Addr) (to *Transport, parted bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nodes[addr], n.apart[addr] != n.apart[string(from)]
}

// delay draws how long something is under way.
func (n *Network) delay() time.Duration {
	if n.cfg.MaxDelay <= n.cfg.MinDelay {
		return n.cfg.MinDelay
	}
	return n.cfg.MinDelay + rand.N(n.cfg.MaxDelay-n.cfg.MinDelay)
}

// hit draws whether chance hits a packet.
func (n *Network) hit() bool { return n.cfg.Loss > 0 && rand.Float64() < n.cfg.Loss }

// Addr is a transport's address.
type Addr string

// Network is "memory".
func (a Addr) Network() string { return "memory" }
func (a Addr) String() string  { return string(a) }

// Traffic counts what a node has sent, lost packets too. Headers of IP, UDP and
// TCP, and TCP's acknowledgements, are not counted.
type Traffic struct {
	Packets, PacketBytes   int64
	Segments, SegmentBytes int64 // of streams
	Streams, Accepted      int64 // that it dialed, or took, and has not closed
}

// Transport is one node's memberlist transport. Its methods are safe for
// concurrent use.
type Transport struct {
	net     *Network
	addr    Addr
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once

	packetsSent, packetBytes, segments, segmentBytes, open, accepted atomic.Int64
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// Addr is where the transport is reached.
func (t *Transport) Addr() Addr { return t.addr }

// Sent is what the node has sent so far.
func (t *Transport) Sent() Traffic {
	return Traffic{
		Packets: t.packetsSent.Load(), PacketBytes: t.packetBytes.Load(),
		Segments: t.segments.Load(), SegmentBytes: t.segmentBytes.Load(), Streams: t.open.Load(), Accepted: t.accepted.Load(),
	}
}

// WriteToAddress sends a packet. As with UDP there is no error where it is lost.
func (t *Transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	t.packetsSent.Add(1)
	t.packetBytes.Add(int64(len(b)))
	now := time.Now()
	to, parted := t.net.at(a.Addr, t.addr)
	if to == nil || parted || !t.net.takesPackets(a.Addr) || t.net.hit() {
		return now, nil
	}
	p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: t.addr}
	if d := t.net.delay(); d > 0 {
		time.AfterFunc(d, func() { to.receive(p) })
	} else {
		to.receive(p)
	}
	return now, nil
}

func (t *Transport) receive(p *memberlist.Packet) {
	p.Timestamp = time.Now()
	select {
	case t.packets <- p:
	default:
	}
}

// DialAddressTimeout opens a stream. Where the listener does not take it in
// time, or is gone, there is an error.
func (t *Transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return t.dial(ctx, a.Addr)
}

// dial opens a stream, unless ctx ends before the listener takes it.
func (t *Transport) dial(ctx context.Context, addr string) (net.Conn, error) {
	to, parted := t.net.at(addr, t.addr)
	if parted {
		<-ctx.Done()
		return nil, fmt.Errorf("%s does not answer: %w", addr, ctx.Err())
	}
	if to == nil {
		return nil, fmt.Errorf("nobody listens on %s: %w", addr, syscall.ECONNREFUSED)
	}
	ours, theirs := newStream(t, to)
	if d := t.net.delay() + t.net.delay(); d > 0 { // there and back
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return nil, fmt.Errorf("%s does not answer: %w", addr, ctx.Err())
		}
	}
	select {
	case to.streams <- theirs:
	case <-to.done:
		return nil, fmt.Errorf("%s has stopped listening: %w", addr, syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s does not accept: %w", addr, ctx.Err())
	}
	t.open.Add(1)
	to.accepted.Add(1)
	if t.net.cfg.Dialed != nil {
		return t.net.cfg.Dialed(ours), nil
	}
	return ours, nil
}

// DialTimeout is DialAddressTimeout.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// WriteTo is WriteToAddress.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// FinalAdvertiseAddr is the transport's address, whatever was configured.
func (t *Transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	addr, err := net.ResolveTCPAddr("tcp", string(t.addr)) // an IP address: nobody is asked
	if err != nil {
		return nil, 0, err
	}
	return addr.IP, addr.Port, nil
}

// PacketCh and StreamCh are what comes in.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *Transport) StreamCh() <-chan net.Conn           { return t.streams }

// Shutdown ends listening. Streams stay open, as the real ones do.
func (t *Transport) Shutdown() error {
	t.once.Do(func() {
		close(t.done)
		t.net.mu.Lock()
		defer t.net.mu.Unlock()
		if t.net.nodes[string(t.addr)] == t {
			delete(t.net.nodes, string(t.addr))
		}
	})
	return nil
}
