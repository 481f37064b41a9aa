package gossip

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// Node is the serf node of this agent, and what can be done with it beyond
// serf's own methods. It is safe for concurrent use.
type Node struct {
	*serf.Serf
	delegate memberlist.Delegate
	clock    *serf.LamportClock
	addr     string
	tags     sync.Mutex // one change at a time
}

// Open makes the serf node of a configuration, whose Transport it takes over.
// After an error the transport is closed.
func Open(conf *serf.Config) (*Node, error) {
	front := &frontTransport{NodeAwareTransport: conf.MemberlistConfig.Transport.(memberlist.NodeAwareTransport)}
	front.install = func() {
		conf.MemberlistConfig.Delegate = &frontDelegate{conf.MemberlistConfig.Delegate}
	}
	conf.MemberlistConfig.Transport = front
	s, err := serf.Create(conf)
	if err != nil {
		CloseTransport(front)
		return nil, createError(err)
	}
	n := &Node{
		Serf:     s,
		delegate: conf.MemberlistConfig.Delegate,
		// Once and for all: memberlist writes the node anew when its tags change.
		addr: s.Memberlist().LocalNode().Address(),
	}
	if n.clock, err = eventClockOf(s); err != nil {
		return nil, errors.Join(err, s.Shutdown())
	}
	return n, nil
}

// createError says why serf did not start. A machine with only public addresses, or
// with none but loopback, gets to know what to do: memberlist does not say it.
func createError(err error) error {
	if strings.Contains(err.Error(), "no private IP address found") {
		return fmt.Errorf("gossip: %w; name the address that other members reach this node at with -advertise or -bind", err)
	}
	return fmt.Errorf("gossip: %w", err)
}

// Addr is the address that the others know this node by.
func (n *Node) Addr() string { return n.addr }

// EventClock is the Lamport time that the next user event gets.
func (n *Node) EventClock() uint64 { return uint64(n.clock.Time()) }

// Witness sets the event clock forward to just behind a Lamport time, as if a
// member that knows of it had told so. Serf refuses nothing older for that.
func (n *Node) Witness(ltime uint64) { n.clock.Witness(serf.LamportTime(ltime)) }

// Inject hands serf a message as if it had come by gossip: serf leaves out what it
// knows, tells its event channel, and passes the message on to other members. It
// never waits for one.
func (n *Node) Inject(raw []byte) { n.delegate.NotifyMsg(raw) }
