package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// Node is the serf node of this agent, and what can be done with it beyond
// serf's own methods. It is safe for concurrent use.
type Node struct {
	*serf.Serf
	delegate memberlist.Delegate              // serf's own
	events   *memberlist.TransmitLimitedQueue // likewise: user events to pass on
	horizons *horizons
	crowd    *crowd
	past     *past
	began    uint64 // the event clock at the start: 1, but with a snapshot
	name     string // this node's, and the address that others know it by
	addr     string
	tags     sync.Mutex    // one change at a time
	stay     time.Duration // of a leave, to answer probes
	presence *presence
	denier   *denier
	overflow *overflow // nil: nobody wants to know
	recent   *recent
	snapshot snapshotClock
	unwanted func(name string, coalesce bool) bool // see Config; may be nil
}

// Config is what a [Node] is made of.
type Config struct {
	Serf *serf.Config // with the Transport to use, which the node takes over
	// Receive is told of each user event that members send, from before serf's event
	// channel has it. It may be nil.
	Receive Receive
	// All says that Receive wants all events that members have, also those from
	// before this node joined them, or from before serf's snapshot was written.
	All bool
	// Synced is told of each full sync after Receive was told of its events, with the
	// member's event clock: it had seen all Lamport times below. It must not wait, and
	// may be nil.
	Synced func(clock uint64)
	// Lost is told of messages of members that came and could not be taken: how many,
	// once a second at most. Each may have been a user event. It must not wait, and may
	// be nil.
	Lost func(n uint64)
	// Refused is told of the Lamport time of each message that cannot have it, and that
	// nobody gets for that. It must not wait, and may be nil.
	Refused func(ltime uint64)
	// Oversized is told of a packet, a stream or a message that is refused because memory
	// would grow by it, and why. It must not wait, and may be nil.
	Oversized func(what string, err error)
	// Unwanted tells whether nobody who reads serf's event channel has a use for a user
	// event, now. It must not wait, and may be nil: then all are wanted.
	Unwanted func(name string, coalesce bool) bool

	mostMembers int // for tests; 0 means the constant
}

// Open makes a serf node. After an error the transport is closed.
func Open(c Config) (_ *Node, err error) {
	ml := c.Serf.MemberlistConfig
	n := &Node{past: &past{all: c.All}, name: c.Serf.NodeName, unwanted: c.Unwanted}
	n.snapshot.is = c.Serf.SnapshotPath != ""
	if c.Oversized == nil {
		c.Oversized = func(string, error) {}
	}
	front := &frontTransport{
		NodeAwareTransport: ml.Transport.(memberlist.NodeAwareTransport), opened: make(chan struct{}),
		streams: newStreams(c.Oversized, func() [][]byte {
			if ml.Keyring == nil {
				return nil
			}
			return ml.Keyring.GetKeys()
		}),
		undecrypted: func(err error, from net.Addr) {
			ml.Logger.Printf("[ERR] memberlist: Decrypt packet failed: %v %s", err, memberlist.LogAddress(from))
		},
		packets: make(chan *memberlist.Packet), conns: make(chan net.Conn), closed: make(chan struct{}),
	}
	var delegate *frontDelegate
	front.install = func() {
		n.delegate, n.presence = ml.Delegate, newPresence(ml.Events)
		var s *serf.Serf
		if s, err = serfOf(n.delegate); err != nil {
			return
		}
		n.denier = &denier{self: n.name, tell: n.delegate.NotifyMsg, presence: n.presence, members: s.Members, doubtful: map[string]bool{}}
		if c.Serf.EnableNameConflictResolution {
			ml.Conflict = &conflict{ConflictDelegate: ml.Conflict, self: n.name, logger: c.Serf.Logger, serf: s}
		}
		if n.horizons, err = newHorizons(s, &c); err != nil {
			return
		}
		n.crowd = &crowd{self: n.name, most: cmp.Or(c.mostMembers, mostMembers), members: s.Members, names: map[string]struct{}{}}
		ml.Alive = n.crowd
		leaving := func() bool { return s.State() != serf.SerfAlive }
		delegate = &frontDelegate{
			Delegate: n.delegate, receive: c.Receive, synced: c.Synced, past: n.past, denier: n.denier, horizons: n.horizons,
			crowd: n.crowd, oversized: c.Oversized, leaving: leaving,
		}
		ml.Delegate, ml.Events = delegate, n.presence
		if n.began = n.EventClock(); !c.All {
			n.past.from = n.began // serf's own limit for what it passes on
		}
	}
	// All that comes is decrypted there, and what is not encrypted is refused. Memberlist gets
	// only the rest.
	ml.Transport, ml.GossipVerifyIncoming = front, false
	if err := mendSnapshot(c.Serf.SnapshotPath); err != nil {
		CloseTransport(front)
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if c.Lost != nil {
		ml.Logger, n.overflow = watchOverflow(ml.Logger, c.Lost)
	}
	n.stay, c.Serf.LeavePropagateDelay = c.Serf.LeavePropagateDelay, 0 // Leave sees to it
	var createErr error
	if n.Serf, createErr = serf.Create(c.Serf); createErr != nil {
		CloseTransport(front)
		return nil, createError(createErr)
	}
	if err == nil {
		n.events, err = eventQueue(n.Serf) // the queue was not made yet in install
	}
	if err == nil {
		n.recent, err = recentOf(n.Serf, c.Serf.MetricLabels)
	}
	var local *localState
	if err == nil {
		local, err = localStateOf(n.Serf, n.recent)
	}
	if err != nil {
		return nil, errors.Join(err, n.Shutdown())
	}
	delegate.local.Store(local)
	// Once and for all: memberlist writes the node anew when its tags change.
	n.addr = n.Memberlist().LocalNode().Address()
	front.open()
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
func (n *Node) EventClock() uint64 { return uint64(n.horizons.event.clock.Time()) }

// Takes tells whether a user event may have a Lamport time. If not, neither the journal
// nor [Node.Inject] is to get it.
func (n *Node) Takes(ltime uint64) bool { return n.horizons.event.takes(serf.LamportTime(ltime)) }

// Witness sets the event clock forward to just behind a Lamport time, as if a
// member that knows of it had told so. Serf refuses nothing older for that.
func (n *Node) Witness(ltime uint64) { n.horizons.event.clock.Witness(serf.LamportTime(ltime)) }

// Join is serf's, and also tells the [Receive] of a new node nothing of events that
// it leaves out. The first line of its error says which setting mends a misfit.
func (n *Node) Join(addrs []string, ignoreOld bool) (int, error) {
	n.past.joins.Lock()
	defer n.past.joins.Unlock()
	n.past.ignore(ignoreOld)
	defer n.past.ignore(false)
	count, err := n.Serf.Join(addrs, ignoreOld)
	return count, n.remedied(err)
}

// Blank tells whether this node knows of no earlier events: it began without any in
// a snapshot, and has met nobody yet.
func (n *Node) Blank() bool {
	n.past.mu.Lock()
	defer n.past.mu.Unlock()
	return n.began <= 1 && !n.past.met
}

// Shutdown is serf's, and then tells [Config].Lost what it has not been told of yet.
func (n *Node) Shutdown() error {
	err := n.Serf.Shutdown()
	if n.overflow != nil {
		n.overflow.tell()
	}
	return err
}

// lastEvents is how long a node that leaves goes on to gossip events.
const lastEvents = time.Second

// Leave is serf's Leave, which tells the members by gossip and waits until that is
// out. While members are alive it also goes on to gossip the last events, for a second
// at most, and answers probes for the time of the configuration's LeavePropagateDelay.
// Serf itself sleeps for that time even if nobody is there to tell.
func (n *Node) Leave() error {
	others := n.othersAlive()
	if err := n.Serf.Leave(); err != nil || !others {
		return err
	}
	left := time.Now()
	for n.Stats()["event_queue"] != "0" && time.Since(left) < lastEvents {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(n.stay - time.Since(left))
	return nil
}

func (n *Node) othersAlive() bool {
	self := n.LocalMember().Name
	return slices.ContainsFunc(n.Members(), func(m serf.Member) bool { return m.Status == serf.StatusAlive && m.Name != self })
}
