package gossip

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"
)

// Serf's messageLeaveType and messageConflictResponseType.
const (
	leaveMessageType  = 0
	conflictReplyType = 6
)

// leaveMessage says that a node leaves. A node that is alive and gets one about itself
// denies it: serf then announces the node with a newer Lamport time.
type leaveMessage struct {
	LTime serf.LamportTime
	Node  string
}

func (m *leaveMessage) encode() []byte {
	buf := bytes.NewBuffer([]byte{leaveMessageType})
	// Into memory, a number and a text: there is no error.
	codec.NewEncoder(buf, &userMessageFormat).Encode(m)
	return buf.Bytes()
}

// denier sees in full syncs what members think of this node.
//
// If two nodes are alone, serf does not tell the other one that it was forced to leave.
// So this node has to find out: a member has a later word of it than this node gave.
// Then it denies.
type denier struct {
	self     string
	tell     func(raw []byte) // tells serf a message
	presence *presence
	members  func() []serf.Member // serf's

	mu sync.Mutex
	// doubtful are members that may have forgotten this node: full syncs that did not
	// list this node have listed them, and one of them was the sender.
	doubtful map[string]bool
	denied   serf.LamportTime // the newest that serf was given
}

// mostDoubtful is how many members are asked at a time whether they know this node, and
// how many are asked whether they leave.
const mostDoubtful = 16

// before is called with a full sync that serf does not have yet. It would take the
// sender's word of this node for its own, and passes over a time that is not newer.
func (d *denier) before(state *syncState, isJoin bool) {
	if t, listed := state.StatusLTimes[d.self]; listed {
		d.deny(t, isJoin)
	}
}

// after is called once serf has the full sync.
func (d *denier) after(state *syncState, isJoin bool) {
	if isJoin {
		d.presence.retell(d.members)
	}
	if _, listed := state.StatusLTimes[d.self]; !listed {
		d.doubt(state.StatusLTimes)
	}
}

// deny has serf deny a leave with a Lamport time. Serf does nothing if this node has
// given a newer word of itself. With a join the time counts as newer by one. An operator
// may want that join to mend a forced leave, which can have the time of this node's own
// last word.
func (d *denier) deny(t serf.LamportTime, isJoin bool) {
	if isJoin {
		t++
	}
	d.mu.Lock()
	newer := t > d.denied
	d.denied = max(d.denied, t)
	d.mu.Unlock()
	if newer { // a healthy cluster says the same each time
		d.tell((&leaveMessage{t, d.self}).encode())
	}
}

func (d *denier) doubt(listed map[string]serf.LamportTime) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.members() {
		if _, ok := listed[m.Name]; ok && m.Status == serf.StatusAlive && len(d.doubtful) < mostDoubtful {
			d.doubtful[m.Name] = true
		}
	}
}

// doubts returns the doubtful members, and forgets them.
func (d *denier) doubts() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer clear(d.doubtful)
	return slices.Sorted(maps.Keys(d.doubtful))
}

// knownAs is what a member answers that was asked how it sees a node. The status is
// [serf.StatusNone] if it does not list the node.
func knownAs(reply []byte) (serf.MemberStatus, error) {
	if len(reply) == 0 || reply[0] != conflictReplyType {
		return 0, errors.New("not an answer about a node")
	}
	var m serf.Member
	err := codec.NewDecoderBytes(reply[1:], &userMessageFormat).Decode(&m)
	return m.Status, err
}
