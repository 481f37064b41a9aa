package journal

import (
	"bytes"
	"hash/maphash"
	"math"

	"agentctl/handler"
	fifo "agentctl/handler/queue"
)

// collapse has the events of a cursor that are joined to an equal event, their
// leader. The cursor does not hold a joined event, and has only its outcome record.
// When the log lets go of a joined event, it is as if it had never waited: the
// target gets the leader later than the joined event came.
//
// In the file a joined event is pending like any other. The next process joins it
// again. See disk/DESIGN.md for why a crash loses none.
type collapse struct {
	below     uint64            // events below this number collapse: 0 is none, collapseAll every one
	leaders   map[uint64]*Entry // those not handed out, by leadersKey
	groups    map[uint64]*group // by the leader's sequence number, handed out or not
	joined    int               // events in all groups
	collapsed uint64            // events joined since the cursor was opened
}

// collapseAll is the below of a target whose events all collapse.
const collapseAll = math.MaxUint64

// group has the events that are joined to one leader.
type group struct {
	n    int
	last uint64 // the newest; its record names the one before it
}

// members returns the events of a group, newest first.
func (c *Cursor) members(g *group) []uint64 {
	seqs := make([]uint64, g.n)
	for i, seq := 0, g.last; i < g.n; i++ {
		seqs[i] = seq
		seq = uint64(c.outcomes.get(seq).at)
	}
	return seqs
}

var collapseSeed = maphash.MakeSeed()

// leadersKey hashes type, name and payload, which must be equal.
func leadersKey(e *handler.Event) uint64 {
	var h maphash.Hash
	h.SetSeed(collapseSeed)
	h.WriteString(string(e.Type))
	h.WriteByte(0)
	h.WriteString(e.Name)
	h.WriteByte(0)
	h.Write(e.Payload)
	return h.Sum64()
}

// collapses tells whether an event may be joined or lead. Member events never do,
// because each tells of a change of its own.
func (c *collapse) collapses(e *Entry) bool { return e.Seq < c.below && !e.Event.Type.IsMember() }

// setCollapse switches collapsing on or off for the events that are appended from
// now on. Joined events stay joined.
func (c *Cursor) setCollapse(on bool) {
	below := c.below
	if on {
		below = collapseAll
	} else if c.below == collapseAll {
		below = c.journal.log.head + 1
	}
	if below != c.below {
		c.below, c.dirty = below, true
		c.arrange()
	}
}

// lead returns the leader that an entry can be joined to. Without one the entry
// itself leads from now on, and the result is nil.
func (c *Cursor) lead(e *Entry) (leader *Entry) {
	if !c.collapses(e) {
		return nil
	}
	key := leadersKey(&e.Event)
	leader = c.leaders[key]
	if leader == nil {
		if c.leaders == nil {
			c.leaders = make(map[uint64]*Entry)
		}
		c.leaders[key] = e
		return nil
	}
	if l := &leader.Event; l.Type != e.Event.Type || l.Name != e.Event.Name || !bytes.Equal(l.Payload, e.Event.Payload) {
		return nil // equal hashes alone prove nothing
	}
	return leader
}

// unlead is called for an entry that does not wait any more, or is handed out.
func (c *Cursor) unlead(e *Entry) {
	if len(c.leaders) == 0 || !c.collapses(e) {
		return
	}
	if key := leadersKey(&e.Event); c.leaders[key] == e {
		delete(c.leaders, key)
	}
}

// join joins an entry to an equal one that waits, and tells whether there is one.
func (c *Cursor) join(e *Entry) bool {
	leader := c.lead(e)
	if leader == nil || e.Seq-leader.Seq > math.MaxUint32 {
		return false
	}
	if c.journal.retained(e.Seq) == nil {
		c.addException(e.Seq) // after a restart or arrange; its leader stands for it
		return true
	}
	g := c.groups[leader.Seq]
	if g == nil {
		if c.groups == nil {
			c.groups = make(map[uint64]*group)
		}
		g = &group{}
		c.groups[leader.Seq] = g
	}
	c.outcomes.set(e.Seq, c.journal.firstRetained(), record{
		verdict: verdictJoined, into: uint32(e.Seq - leader.Seq), at: int64(g.last),
	})
	g.n++
	g.last = e.Seq
	c.joined++
	return true
}

// ungroup takes the events that are joined to a leader that is settled. It returns
// them newest first.
func (c *Cursor) ungroup(leader uint64) []uint64 {
	g := c.groups[leader]
	if g == nil {
		return nil
	}
	delete(c.groups, leader)
	c.joined -= g.n
	return c.members(g)
}

// leave is called for a joined event that the log lets go of.
func (c *Cursor) leave(seq uint64, r record) {
	leader := seq - uint64(r.into)
	g := c.groups[leader]
	c.joined--
	if g.n--; g.n == 0 {
		delete(c.groups, leader)
	}
	c.addException(seq)
}

// joinedSeqs returns all joined events, in no order.
func (c *Cursor) joinedSeqs() []uint64 {
	seqs := make([]uint64, 0, c.joined)
	for _, g := range c.groups {
		seqs = append(seqs, c.members(g)...)
	}
	return seqs
}

// arrange joins all pending events anew, in order. It is called when the cursor is
// closed, because an event that was handed out may equal later ones. The next
// process, which knows nothing of groups, comes to the same result.
func (c *Cursor) arrange() {
	if c.below == 0 {
		return
	}
	old := c.pending()
	all := old
	for _, seq := range c.joinedSeqs() {
		all = append(all, c.journal.retained(seq))
		c.outcomes.set(seq, c.journal.firstRetained(), record{})
	}
	all = sortEntries(all)
	c.waiting, c.bytes = fifo.Ring[*Entry]{}, 0
	c.leaders, c.groups, c.joined = nil, nil, 0
	for _, e := range all {
		c.enqueue(e)
	}
	for _, e := range old {
		c.journal.release(e)
	}
}
