package gossip

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"
)

// leaveMessageType is serf's messageLeaveType.
const leaveMessageType = 0

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
	lacking  int              // full syncs that did not list this node
	denied   serf.LamportTime // the newest that serf was given
}

const (
	// mostDoubtful is how many members are asked at a time whether they know this node,
	// and how many are asked whether they leave.
	mostDoubtful = 16
	// metTime is after how long members that have met know each other. A prune takes
	// some seconds more.
	metTime = 5 * time.Second
)

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

// doubt notes that a member does not list this node. It is among those that it lists. A
// member that this node has met only now may not know it yet.
func (d *denier) doubt(listed map[string]serf.LamportTime) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lacking++
	for name := range listed {
		if n, alive := d.presence.node(name); alive && time.Since(n.since) > metTime && len(d.doubtful) < mostDoubtful {
			d.doubtful[name] = true
		}
	}
}

// lacks is how many full syncs came so far that did not list this node.
func (d *denier) lacks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lacking
}

// doubts returns the doubtful members, and forgets them.
func (d *denier) doubts() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer clear(d.doubtful)
	return slices.Sorted(maps.Keys(d.doubtful))
}
