package gossip

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// Receive is told of a user event that a member sent, before serf judges it. synced
// says that it came with a full sync: members send the same events again each time.
// It is called by several goroutines at a time, and must not wait. The event is its to
// keep.
type Receive func(e serf.UserEvent, synced bool)

// frontDelegate stands in front of serf's delegate, and sees all that members
// send before serf does: single messages by NotifyMsg, full syncs by
// MergeRemoteState. It hands the user events to a [Receive], also those that serf
// drops as too old. It passes on everything untouched but for Lamport times that cannot
// be, see horizon, for more unknown names than a cluster has, see crowd, and for events that
// serf has already and that come again with a full sync. What [Node.Inject] gives to
// serf does not come by here.
//
// Both methods are called by several goroutines at a time. For what comes in packets
// NotifyMsg is called by one, which takes from a queue of 1,024 messages: what comes
// while that is full is dropped before it is seen here, see overflow. A message that comes by a
// stream has the goroutine of that stream, as a full sync has. The bytes are
// memberlist's, so what is kept of them must be copied. Neither method may wait for
// anything but its turn: messages of 64 KiB and more, which only streams bring, come one
// after another.
type frontDelegate struct {
	memberlist.Delegate
	receive Receive            // nil: nobody wants events
	synced  func(clock uint64) // likewise
	past    *past
	denier  *denier
	*horizons
	crowd     *crowd
	oversized func(what string, err error)
	leaving   func() bool                // this node has begun to leave
	local     atomic.Pointer[localState] // nil until Create has returned
	// turn is of who has a message that is looked at. Decoded, such a message takes some
	// times as much.
	turn sync.Mutex
}

// errManyValues is a message of serf's that decoding would make far larger.
var errManyValues = errors.New("it has more values than a member sends")

// begin tells whether a message can be decoded within bounds. If so, end is to be called
// afterwards.
func (d *frontDelegate) begin(raw []byte) (end func(), ok bool) {
	if len(raw) < lookedAt {
		return func() {}, true
	}
	if !fits(raw) {
		d.oversized("message", errManyValues)
		return nil, false
	}
	d.turn.Lock()
	return d.turn.Unlock, true
}

func (d *frontDelegate) NotifyMsg(raw []byte) {
	end, ok := d.begin(raw)
	if !ok {
		return
	}
	defer end()
	var m Message
	switch isEvent := m.Decode(raw) == nil; { // serf logs what is no event
	case isEvent && !d.event.takes(m.LTime):
		d.refuse(&d.event, m.LTime)
		return
	case isEvent && d.receive != nil:
		d.receive(m.Event(), false)
	case !isEvent && !(d.takes(raw) && d.crowd.takes(raw)):
		return
	}
	d.Delegate.NotifyMsg(raw)
}

// LocalState is what this node tells in a full sync: nothing once it leaves. Stock serf
// tells the Lamport time of its leave there, and a member takes that for a join. The leave
// itself is not newer then, and the member sees this node fail.
func (d *frontDelegate) LocalState(join bool) []byte {
	if d.leaving() {
		return nil
	}
	if l := d.local.Load(); l != nil {
		if b, err := l.encode(); err == nil { // always: it is encoded into memory
			return b
		}
	}
	return d.Delegate.LocalState(join)
}

func (d *frontDelegate) MergeRemoteState(raw []byte, isJoin bool) {
	end, ok := d.begin(raw)
	if !ok {
		return
	}
	defer end()
	var state syncState
	known := state.decode(raw) == nil // likewise
	if cut := known && d.cut(&state); known && d.crowd.cut(&state) || cut {
		encoded, err := state.encode()
		if err != nil {
			return // never: it is encoded into memory
		}
		raw = encoded
	}
	if known {
		d.denier.before(&state, isJoin)
		d.past.synced(state.EventLTime, isJoin)
	}
	if known && d.receive != nil {
		for _, of := range state.Events {
			if of == nil || !d.past.wants(uint64(of.LTime)) {
				continue
			}
			for _, e := range of.Events {
				d.receive(serf.UserEvent{LTime: of.LTime, Name: e.Name, Payload: e.Payload}, true)
			}
		}
	}
	if known && d.synced != nil {
		d.synced(uint64(state.EventLTime))
	}
	if l := d.local.Load(); l != nil && known {
		if rest, fewer := l.recent.unknown(state.Events); fewer {
			state.Events = rest
			if encoded, err := state.encode(); err == nil { // always, as above
				raw = encoded
			}
		}
	}
	d.Delegate.MergeRemoteState(raw, isJoin)
	if known {
		d.denier.after(&state, isJoin)
	}
}

// past tells which events of a full sync are from before this node's time. For scripts
// and streams serf itself knows that. This is the rule for [Receive]; it differs from
// serf's in three points. A node that was away and comes back wants all that it has
// missed. A single message is always wanted: members send it only for some seconds
// after an event is published, whatever its Lamport time. And a join that leaves
// out older events counts only as long as the node has met nobody: later ones bring the
// events of another part of the cluster, which have to do with this node as much as its
// own part's have.
type past struct {
	all bool // nothing is from before

	mu   sync.Mutex
	from uint64 // the lowest Lamport time that is wanted
	met  bool   // it has joined, or was joined

	joins    sync.Mutex // one join of this node at a time, as serf has it
	ignoring bool       // the one under way leaves out older events; mu guards it
}

func (p *past) wants(ltime uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ltime >= p.from
}

// synced notes that a member has sent its state, with its event clock.
func (p *past) synced(clock serf.LamportTime, isJoin bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isJoin && p.ignoring && !p.met && !p.all {
		p.from = max(p.from, uint64(clock))
	}
	p.met = p.met || isJoin
}

func (p *past) ignore(ignoring bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ignoring = ignoring
}

// frontTransport installs the delegate. Serf sets its own one in Create, and by
// the time Create returns memberlist's goroutines use it. In between memberlist
// asks the transport for the address to advertise, before it starts the first of
// them.
//
// It hands memberlist nothing before it is opened, since a message that came while
// Create goes on would find serf half made, and panic. A member that was away is
// still known to others, so events may be on their way to it at that moment.
type frontTransport struct {
	memberlist.NodeAwareTransport
	install  func()
	once     sync.Once
	opened   chan struct{} // closed once serf is made
	openOnce sync.Once

	streams     *streams
	undecrypted func(err error, from net.Addr) // is told of a packet that no key fits

	carry     sync.Once
	packets   chan *memberlist.Packet
	conns     chan net.Conn
	closed    chan struct{}
	closeOnce sync.Once
	carriers  sync.WaitGroup
}

func (t *frontTransport) FinalAdvertiseAddr(ip string, port int) (addr net.IP, finalPort int, err error) {
	t.once.Do(t.install)
	return t.NodeAwareTransport.FinalAdvertiseAddr(ip, port)
}

func (t *frontTransport) open() { t.openOnce.Do(func() { close(t.opened) }) }

// PacketCh waits until the transport is opened.
func (t *frontTransport) PacketCh() <-chan *memberlist.Packet {
	t.ready()
	return t.packets
}

// StreamCh waits likewise.
func (t *frontTransport) StreamCh() <-chan net.Conn {
	t.ready()
	return t.conns
}

// ready waits until the transport is opened, and begins to carry what comes.
func (t *frontTransport) ready() {
	<-t.opened
	t.carry.Do(func() {
		t.carriers.Go(t.carryPackets)
		t.carriers.Go(t.carryStreams)
	})
}

// carryPackets hands packets to memberlist, each in a buffer of its size. Memberlist
// keeps messages that wait with the buffer of their packet, which is 64 KiB long.
func (t *frontTransport) carryPackets() {
	for {
		select {
		case p := <-t.NodeAwareTransport.PacketCh():
			if p.Buf = t.taken(p.Buf, p.From); p.Buf == nil {
				continue
			}
			select {
			case t.packets <- p:
			case <-t.closed:
			}
		case <-t.closed:
			return
		}
	}
}

// taken is a packet as it is behind encryption, checksum and compression, in a buffer of
// its own; nil if it is refused.
func (t *frontTransport) taken(b []byte, from net.Addr) []byte {
	keys := t.streams.keys()
	if len(keys) > 0 {
		plain, err := decrypted(keys, b, nil)
		if err != nil {
			t.undecrypted(err, from)
			return nil
		}
		b = plain
	}
	b, err := inflated(b)
	if err != nil {
		t.streams.refused("packet", err)
		return nil
	}
	if len(keys) > 0 && len(b) > 0 && b[0] <= lastVersion {
		// Memberlist would take the type for a version of encryption, and decrypt the rest
		// once more if that were encrypted, too. It panics on one that it cannot read.
		if len(b) > math.MaxUint16 {
			t.streams.refused("packet", errGrows)
			return nil
		}
		return append(binary.BigEndian.AppendUint16([]byte{compoundType, 1}, uint16(len(b))), b...)
	}
	return append([]byte{}, b...) // not nil
}

func (t *frontTransport) carryStreams() {
	for {
		select {
		case conn := <-t.NodeAwareTransport.StreamCh():
			select {
			case t.conns <- t.streams.guard(conn):
			case <-t.closed:
				conn.Close()
			}
		case <-t.closed:
			return
		}
	}
}

// DialAddressTimeout bounds what the answer of a member brings, too.
func (t *frontTransport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := t.NodeAwareTransport.DialAddressTimeout(addr, timeout)
	if err != nil {
		return nil, err
	}
	return t.streams.guard(conn), nil
}

// Shutdown waits until what has come in is taken, so it opens the transport first.
func (t *frontTransport) Shutdown() error {
	t.open()
	t.ready()
	err := t.NodeAwareTransport.Shutdown() // its listeners may be waiting for the carriers
	t.closeOnce.Do(func() { close(t.closed) })
	t.carriers.Wait()
	return err
}
