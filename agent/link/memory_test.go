package link

import (
	"fmt"
	"net"
	"sync"
	"time"

	"agentctl/agent/memnet"
)

// memNet is a network in memory, for tests' clocks, that knows its streams.
type memNet struct {
	*memnet.Network

	mu    sync.Mutex
	conns []net.Conn              // all that were dialed
	wrap  func(net.Conn) net.Conn // of the dialing side, where set
}

func newMemNet() *memNet { return slowMemNet(0) }

// slowMemNet delays all that is sent.
func slowMemNet(delay time.Duration) *memNet {
	n := &memNet{}
	n.Network = memnet.New(memnet.Config{Dialed: n.onDialed, MinDelay: delay, MaxDelay: delay})
	return n
}

func (n *memNet) onDialed(conn net.Conn) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wrap != nil {
		conn = n.wrap(conn)
	}
	n.conns = append(n.conns, conn)
	return conn
}

// add makes the transport of the i-th node.
func (n *memNet) add(i int) *memnet.Transport { return n.Add(fmt.Sprintf("10.0.0.%d:7946", i)) }

func (n *memNet) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}
