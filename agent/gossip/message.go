package gossip

import (
	"bytes"
	"errors"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"
)

// Message is a user event as serf sends it: a byte that says so, and this
// in msgpack with texts and bytes alike in its older form.
type Message struct {
	LTime   serf.LamportTime
	Name    string
	Payload []byte
	CC      bool // an agent may coalesce it
}

// The types of serf's messages that have a Lamport time of their own, beside
// leaveMessageType.
const (
	joinMessageType  = 1
	userMessageType  = 3
	queryMessageType = 4
)

// userMessageFormat is serf's, also of full syncs. It is made once: what it finds out about the type
// takes longer than encoding one.
var userMessageFormat codec.MsgpackHandle

var errNoEvent = errors.New("not a user event")

// Decode reads a message, and keeps nothing of raw.
func (m *Message) Decode(raw []byte) error {
	if m.read(raw) {
		m.Payload = bytes.Clone(m.Payload)
		return nil
	}
	if len(raw) == 0 || raw[0] != userMessageType {
		return errNoEvent
	}
	*m = Message{}
	return codec.NewDecoderBytes(raw[1:], &userMessageFormat).Decode(m)
}

func (m *Message) Event() serf.UserEvent {
	return serf.UserEvent{LTime: m.LTime, Name: m.Name, Payload: m.Payload, Coalesce: m.CC}
}

// syncState is the state that members exchange in full syncs, with each field that serf
// reads. Without the CC of single messages: serf does not keep it.
type syncState struct {
	LTime        serf.LamportTime            // its clock of members
	StatusLTimes map[string]serf.LamportTime // of its last word of each member
	LeftMembers  []string
	EventLTime   serf.LamportTime // its event clock
	Events       []*recentEvents  // some are nil
	QueryLTime   serf.LamportTime // its clock of queries
}

// syncStateType is serf's messagePushPullType.
const syncStateType = 2

func (s *syncState) decode(raw []byte) error {
	if len(raw) == 0 || raw[0] != syncStateType {
		return errors.New("not a full sync")
	}
	return codec.NewDecoderBytes(raw[1:], &userMessageFormat).Decode(s)
}
