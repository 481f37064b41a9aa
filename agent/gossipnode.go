package agent

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// gossipNode is the serf node of this agent, and what can be done with it beyond
// serf's own methods. It is safe for concurrent use.
type gossipNode struct {
	*serf.Serf
	delegate memberlist.Delegate
	clock    *serf.LamportClock
	addr     string
}

// openNode makes the serf node of a configuration, whose Transport it takes over.
// After an error the transport is closed.
func openNode(conf *serf.Config) (*gossipNode, error) {
	front := &frontTransport{NodeAwareTransport: conf.MemberlistConfig.Transport.(memberlist.NodeAwareTransport)}
	front.install = func() {
		conf.MemberlistConfig.Delegate = &frontDelegate{conf.MemberlistConfig.Delegate}
	}
	conf.MemberlistConfig.Transport = front
	s, err := serf.Create(conf)
	if err != nil {
		closeGossip(front)
		return nil, fmt.Errorf("gossip: %w", err)
	}
	n := &gossipNode{
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

// Addr is the address that the others know this node by.
func (n *gossipNode) Addr() string { return n.addr }

// EventClock is the Lamport time that the next user event gets.
func (n *gossipNode) EventClock() uint64 { return uint64(n.clock.Time()) }

// Witness sets the event clock forward to just behind a Lamport time, as if a
// member that knows of it had told so. Serf refuses nothing older for that.
func (n *gossipNode) Witness(ltime uint64) { n.clock.Witness(serf.LamportTime(ltime)) }

// Inject hands serf a message as if it had come by gossip: serf leaves out what it
// knows, tells its event channel, and passes the message on to other members. It
// never waits for one.
func (n *gossipNode) Inject(raw []byte) { n.delegate.NotifyMsg(raw) }

// eventClockOf finds serf's event clock, which it shows as a text among all its
// statistics only. The field is private: a test fails where another version of
// serf has another one.
func eventClockOf(s *serf.Serf) (*serf.LamportClock, error) {
	f := reflect.ValueOf(s).Elem().FieldByName("eventClock")
	if !f.IsValid() || f.Type() != reflect.TypeFor[serf.LamportClock]() {
		return nil, errors.New("gossip: this version of serf keeps its event clock elsewhere")
	}
	return (*serf.LamportClock)(f.Addr().UnsafePointer()), nil
}

// frontDelegate stands in front of serf's delegate, and sees all that members
// send before serf does: single messages by NotifyMsg, full syncs by
// MergeRemoteState. For now it passes on everything untouched.
//
// NotifyMsg is called by one goroutine, which takes from a queue of 1,024
// messages: what comes while that is full is dropped before it is seen here. The
// bytes are memberlist's, so what is kept of them must be copied. Neither method
// may wait for anything.
type frontDelegate struct{ memberlist.Delegate }

// frontTransport installs the delegate. Serf sets its own one in Create, and by
// the time Create returns memberlist's goroutines use it. In between memberlist
// asks the transport for the address to advertise, before it starts the first of
// them.
type frontTransport struct {
	memberlist.NodeAwareTransport
	install func()
	once    sync.Once
}

func (t *frontTransport) FinalAdvertiseAddr(ip string, port int) (addr net.IP, finalPort int, err error) {
	t.once.Do(t.install)
	return t.NodeAwareTransport.FinalAdvertiseAddr(ip, port)
}
