package gossip

import (
	"errors"
	"reflect"
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
// Of an event serf neither logs nor counts that it came, as of one of its own.
func (n *Node) Inject(raw []byte) {
	var m Message
	if !m.read(raw) {
		n.delegate.NotifyMsg(raw)
		return
	}
	if handleUserEvent(n.Serf, &m) {
		n.events.QueueBroadcast(rumor(raw))
	}
}
