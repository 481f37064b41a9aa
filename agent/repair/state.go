package repair

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

const (
	stateVersion    = 1
	maxIncarnations = 64
	maxPeerName     = 256
)

// state is what a node knows of itself and the others' logs. Repair.mu guards
// it. All but what settled says is kept for the next process.
type state struct {
	// born is since when events are wanted; zero where that is not known, and
	// so all are. It moves with each gap.
	born time.Time
	// base is the Lamport time from which on digests are compared, and floor
	// likewise, above what this and earlier processes have let go of. What is
	// below either is looked at where a peer came by it lately.
	base, floor uint64
	based       bool // base is set

	head         uint64           // the log's, when this was kept; less now is another log
	incarnations []incarnation    // of this node's log, the present one last
	watermarks   map[uint64]*note // by incarnation
	peers        map[string]*acquaintance
}

// incarnation is a process that goes on with the log of the one before: up to began
// both have the same events by the same sequence numbers.
type incarnation struct{ id, began uint64 }

// note is a watermark on the log of another node, in one of its incarnations.
type note struct {
	seq  uint64
	used time.Time // when it moved last
}

// acquaintance is what was seen of a peer last.
type acquaintance struct {
	incarnation uint64
	// agreed is a digest of the peer's in which nothing was lacking: while it
	// stays the same, nothing is.
	agreed journal.Digest
}

// newIncarnation goes on with a log whose newest sequence number is head.
func (s *state) newIncarnation(head uint64, r *rand.Rand) {
	id := r.Uint64() | 1 // 0 is none
	s.incarnations = append(s.incarnations, incarnation{id, head})
	if n := len(s.incarnations); n > maxIncarnations {
		s.incarnations = slices.Delete(s.incarnations, 0, n-maxIncarnations)
	}
}

func (s *state) incarnation() uint64 { return s.incarnations[len(s.incarnations)-1].id }

// translate tells what a watermark on this node's log, made in one of its incarnations, is
// worth now: a crash may have cut off the end, and other events have come to
// those sequence numbers.
func (s *state) translate(m watermark) (seq uint64, ok bool) {
	seq = m.seq
	for _, l := range slices.Backward(s.incarnations) {
		if l.id == m.incarnation {
			return seq, true
		}
		seq = min(seq, l.began)
	}
	return 0, false
}

// age is how long ago the node was born, in milliseconds.
func (s *state) age(now time.Time) uint64 {
	if s.born.IsZero() {
		return math.MaxUint64
	}
	return uint64(max(0, now.Sub(s.born).Milliseconds()))
}

// bear makes the node want nothing that is older than now.
func (s *state) bear(now time.Time, clock uint64) {
	s.born, s.base = now, clock
	s.watermarks, s.peers = map[uint64]*note{}, map[string]*acquaintance{}
}

// advance moves a watermark on, never back.
func (s *state) advance(m watermark, now time.Time) {
	n := s.watermarks[m.incarnation]
	if n == nil {
		n = &note{}
		s.watermarks[m.incarnation] = n
	} else if m.seq <= n.seq {
		return
	}
	n.seq, n.used = m.seq, now
	if len(s.watermarks) > maxWatermarks {
		s.forgetOldest()
	}
}

// forgetOldest forgets the watermark that moved the longest ago: of a process that
// is gone, most of the time.
func (s *state) forgetOldest() {
	var oldest uint64
	for id, n := range s.watermarks {
		if o := s.watermarks[oldest]; o == nil || cmp.Or(n.used.Compare(o.used), cmp.Compare(id, oldest)) < 0 {
			oldest = id
		}
	}
	delete(s.watermarks, oldest)
}

// meet notes what was seen of a peer. Of very many some are forgotten: that
// costs a few more bytes with the next comparison, and a watermark on a log that a
// restarted process goes on with.
func (s *state) meet(peer string, a *acquaintance) {
	for name := range s.peers {
		if len(s.peers) < maxWatermarks {
			break
		}
		delete(s.peers, name)
	}
	if len(peer) <= maxPeerName {
		s.peers[peer] = a
	}
}

// list gives all watermarks, in an order that is always the same.
func (s *state) list() (all []watermark) {
	for id, n := range s.watermarks {
		all = append(all, watermark{id, n.seq})
	}
	slices.SortFunc(all, func(a, b watermark) int { return cmp.Compare(a.incarnation, b.incarnation) })
	return all
}

// encode is what decodeState reads.
func (s *state) encode() []byte {
	e := varint.Encoder{stateVersion}
	born := uint64(0)
	if !s.born.IsZero() {
		born = uint64(s.born.UnixMilli())
	}
	e.Uint(born)
	e.Bool(s.based)
	e.Uint(s.base)
	e.Uint(s.floor)
	e.Uint(s.head)
	e.Uint(uint64(len(s.incarnations)))
	for _, l := range s.incarnations {
		e.Fixed(l.id)
		e.Uint(l.began)
	}
	watermarks := s.list()
	e.Uint(uint64(len(watermarks)))
	for _, m := range watermarks {
		e.Fixed(m.incarnation)
		e.Uint(m.seq)
		e.Uint(uint64(s.watermarks[m.incarnation].used.UnixMilli()))
	}
	names := slices.Sorted(maps.Keys(s.peers))
	e.Uint(uint64(len(names)))
	for _, name := range names {
		e.Text(name)
		e.Fixed(s.peers[name].incarnation)
	}
	return e
}

func decodeState(b []byte) (*state, error) {
	d := decoder{varint.NewDecoder(b)}
	if d.Byte() != stateVersion {
		return nil, errors.New("repair: what the last process kept is of another version, or damaged: use the agentctl that wrote it, or remove it, and gateways are flushed once where events may be lacking")
	}
	s := newState()
	if born := d.Uint(); born > 0 {
		s.born = time.UnixMilli(int64(born))
	}
	s.based, s.base, s.floor, s.head = d.Bool(), d.Uint(), d.Uint(), d.Uint()
	s.incarnations = varint.List(&d.Decoder, maxIncarnations, func() incarnation { return incarnation{d.Fixed(), d.Uint()} })
	varint.List(&d.Decoder, maxWatermarks, func() (none struct{}) {
		s.watermarks[d.Fixed()] = &note{d.Uint(), time.UnixMilli(int64(d.Uint()))}
		return none
	})
	varint.List(&d.Decoder, maxWatermarks, func() (none struct{}) {
		s.peers[d.Text(maxPeerName)] = &acquaintance{incarnation: d.Fixed()}
		return none
	})
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("%w in what the last process kept: remove it, and gateways are flushed once where events may be lacking", err)
	}
	return s, nil
}

func newState() *state {
	return &state{watermarks: map[uint64]*note{}, peers: map[string]*acquaintance{}}
}
