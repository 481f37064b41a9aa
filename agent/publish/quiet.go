package publish

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/plumtree"
	"agentctl/handler/queue"
)

// maxQuiet is how many events are remembered that serf has and does not pass on: as many as a
// tree remembers.
const maxQuiet = 8192

// quiet are the events that serf was given without passing them on. A copy of one that
// comes by gossip shows that some node lets it go, since the tree may not have brought it to
// all. Gossip of one node alone does not get far: who has the event does not pass it on. So
// this node lets it go as well.
type quiet struct {
	n atomic.Int64 // how many there are

	mu    sync.Mutex
	byKey map[uint64]*quietEvent
	order queue.Ring[*quietEvent]
}

type quietEvent struct {
	key uint64
	raw []byte
	id  plumtree.ID
	at  time.Time
}

// quietKey is the same for copies of an event, as serf has it: of a large event that is its
// reference.
func quietKey(e *serf.UserEvent) uint64 {
	var h maphash.Hash
	h.SetSeed(keySeed)
	maphash.WriteComparable(&h, e.LTime)
	h.WriteString(e.Name)
	h.WriteByte(0)
	h.Write(e.Payload)
	return h.Sum64()
}

func rawKey(raw []byte) (key uint64, ok bool) {
	var m gossip.Message
	if m.Decode(raw) != nil {
		return 0, false
	}
	e := m.Event()
	return quietKey(&e), true
}

func (q *quiet) add(raw []byte, id plumtree.ID, now time.Time) {
	key, ok := rawKey(raw)
	if !ok {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byKey == nil {
		q.byKey = map[uint64]*quietEvent{}
	}
	for q.order.Len() > 0 && (q.order.Len() >= maxQuiet || now.Sub(q.order.At(0).at) >= plumtree.Watched) {
		old := q.order.PopFront()
		if q.byKey[old.key] == old {
			delete(q.byKey, old.key)
		}
	}
	e := &quietEvent{key, raw, id, now}
	q.byKey[key] = e
	q.order.PushBack(e)
	q.n.Store(int64(len(q.byKey)))
}

// take takes an event out, nil if there is none.
func (q *quiet) take(key uint64) *quietEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.byKey[key]
	delete(q.byKey, key)
	q.n.Store(int64(len(q.byKey)))
	return e
}

func (q *quiet) takeRaw(raw []byte) {
	if key, ok := rawKey(raw); ok {
		q.take(key)
	}
}

// Rumor is told of a user event that a member sent by gossip. It never waits.
func (p *Publisher) Rumor(e serf.UserEvent) {
	if p.quiet.n.Load() == 0 {
		return
	}
	if held := p.quiet.take(quietKey(&e)); held != nil && time.Since(held.at) < plumtree.Watched {
		p.cfg.Node.PassOn(held.raw)
		p.cfg.Broadcast.Gossiped(held.id)
	}
}
