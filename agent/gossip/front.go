package gossip

import (
	"net"
	"sync"

	"github.com/hashicorp/memberlist"
)

// frontDelegate stands in front of serf's delegate, and sees all that members
// send before serf does: single messages by NotifyMsg, full syncs by
// MergeRemoteState. It also sees what [Node.Inject] hands to serf. For now it passes
// on everything untouched.
//
// Both methods are called by several goroutines at a time. For what comes in packets
// NotifyMsg is called by one, which takes from a queue of 1,024 messages: what comes
// while that is full is dropped before it is seen here. A message that comes by a
// stream has the goroutine of that stream, as a full sync has, and Inject its
// caller's. The bytes are memberlist's, so what is kept of them must be copied.
// Neither method may wait for anything.
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
