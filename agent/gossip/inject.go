package gossip

import (
	"errors"
	"reflect"
	"sync/atomic"
	_ "unsafe" // for go:linkname

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// handleUserEvent is serf's, which takes in a user event and tells whether it is to be
// passed on. Serf has it behind NotifyMsg alone. That decodes the message with a codec
// that learns the message's type anew each time, which costs more than all the rest of a
// publish. Serf's type for the event has the fields of [Message] in its order; a test
// fails where another version has not.
//
//go:linkname handleUserEvent github.com/hashicorp/serf/serf.(*Serf).handleUserEvent
func handleUserEvent(s *serf.Serf, m *Message) bool

// eventQueue finds the queue of the user events that serf passes on. The field is
// private, as those of clockOf.
func eventQueue(s *serf.Serf) (*memberlist.TransmitLimitedQueue, error) {
	f := reflect.ValueOf(s).Elem().FieldByName("eventBroadcasts")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*memberlist.TransmitLimitedQueue]() {
		return nil, errors.New("gossip: this version of serf has no eventBroadcasts")
	}
	return (*memberlist.TransmitLimitedQueue)(f.UnsafePointer()), nil
}

// rumor is an event in that queue.
type rumor []byte

func (r rumor) Invalidates(memberlist.Broadcast) bool { return false }
func (r rumor) UniqueBroadcast()                      {} // or memberlist looks through the queue
func (r rumor) Message() []byte                       { return r }
func (r rumor) Finished()                             {}

// Inject hands serf a message as if it had come by gossip: serf leaves out what it
// knows, tells its event channel, and passes the message on to other members. It
// never waits for one. The bytes must not change any more: serf keeps them.
//
// Of an event serf neither logs nor counts that it came, as of one of its own. It does not
// tell its channel of one that nobody wants there, see [Config.Unwanted].
//
// It tells whether the event is new, as far as that is known: of a message that is not read
// here it is not.
func (n *Node) Inject(raw []byte) (fresh bool) {
	if fresh = n.Give(raw); fresh {
		n.PassOn(raw)
	}
	return fresh
}

// Give is Inject without passing an event on. See [Node.PassOn].
func (n *Node) Give(raw []byte) (fresh bool) {
	var m Message
	if !m.read(raw) {
		n.delegate.NotifyMsg(raw)
		return false
	}
	return n.give(&m)
}

// PassOn has gossip carry an event that serf was given before.
func (n *Node) PassOn(raw []byte) { n.events.QueueBroadcast(rumor(raw)) }

// give hands serf an event, and tells whether serf did not know it. Behind serf's channel
// are up to three goroutines, one after the other. To wake them for an event that the last
// of them drops costs more than all the rest of a publish.
func (n *Node) give(m *Message) (fresh bool) {
	if n.unwanted == nil || !n.unwanted(m.Name, m.CC) || n.snapshot.wants(m.LTime) {
		return handleUserEvent(n.Serf, m)
	}
	fresh, old := n.recent.take(m)
	return fresh || old && handleUserEvent(n.Serf, m)
}

// snapshotClock is the event clock of serf's snapshot file, which is written behind serf's
// channel: so the file has to be told of each Lamport time.
type snapshotClock struct {
	is   bool // there is a file
	told atomic.Uint64
}

// wants tells whether the file may lack a Lamport time.
func (c *snapshotClock) wants(t serf.LamportTime) bool {
	if !c.is {
		return false
	}
	for {
		told := c.told.Load()
		if uint64(t) <= told {
			return false
		}
		if c.told.CompareAndSwap(told, uint64(t)) {
			return true
		}
	}
}
