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
	pendingVersion  = 2 // with the reason of a flush that is due; earlier agents refuse it
	maxIncarnations = 64
	maxPeers        = 1024     // of which something is remembered, or kept for the next process
	maxLogs         = 16 << 10 // whose watermarks are remembered
	maxPeerName     = 256
)

// state is what a node knows of itself and the others' logs. Repair.mu guards
// it. All but the digests is kept for the next process.
type state struct {
	// born is since when events are wanted; zero where that is not known, and
	// so all are. It moves with each gap.
	born time.Time
	// base is the Lamport time from which on digests are compared, and floor
	// likewise, above what this and earlier processes have let go of. What is
	// below either is looked at where a peer came by it lately.
	base, floor uint64
	based       bool // base is set

	head         uint64        // the log's, when this was kept; less now is another log
	incarnations []incarnation // of this node's log, the present one last
	peers        map[string]*acquaintance

	pending string // why a flush is due later; "" if none is
}

// incarnation is a process that goes on with the log of the one before: up to began
// both have the same events by the same sequence numbers.
type incarnation struct{ id, began uint64 }

// acquaintance is what was seen of a peer last. It stands under the name under
// which the peer was asked, so that a peer can say nothing about another's log.
type acquaintance struct {
	watermark
	used time.Time // when the watermark moved last
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
	s.born, s.base, s.pending = now, clock, ""
	s.peers = map[string]*acquaintance{}
}

// meet notes up to where a peer's log was compared. In one incarnation of it that
// never moves back: of two comparisons the shorter may end last.
func (s *state) meet(peer string, log watermark, agreed journal.Digest, now time.Time) {
	p := s.peers[peer]
	switch {
	case len(peer) > maxPeerName:
		return
	case p == nil || p.incarnation != log.incarnation:
		p = &acquaintance{watermark: log, used: now}
		s.peers[peer] = p
	case log.seq > p.seq:
		p.seq, p.used = log.seq, now
	}
	p.agreed = agreed
	if len(s.peers) > maxLogs {
		s.forgetOldest()
	}
}

// forgetOldest forgets the peer whose watermark moved the longest ago: it is gone,
// most of the time. If it is not, its log is compared from this node's birth on.
func (s *state) forgetOldest() {
	oldest := ""
	for name, p := range s.peers {
		if o := s.peers[oldest]; o == nil || cmp.Or(p.used.Compare(o.used), cmp.Compare(name, oldest)) < 0 {
			oldest = name
		}
	}
	delete(s.peers, oldest)
}

// kept are the peers that encode has: those whose watermarks moved last.
func (s *state) kept() (names []string) {
	names = slices.Collect(maps.Keys(s.peers))
	if len(names) > maxPeers {
		slices.SortFunc(names, func(a, b string) int {
			return cmp.Or(s.peers[b].used.Compare(s.peers[a].used), cmp.Compare(a, b))
		})
		names = names[:maxPeers]
	}
	slices.Sort(names)
	return names
}

// watermarks gives each incarnation once, as encode has them. If two peers say that
// they have the same log, one of them lies, and the lower watermark is safe for both.
func (s *state) watermarks(names []string) (all []acquaintance) {
	for _, name := range names {
		all = append(all, *s.peers[name])
	}
	slices.SortStableFunc(all, func(a, b acquaintance) int {
		return cmp.Or(cmp.Compare(a.incarnation, b.incarnation), cmp.Compare(a.seq, b.seq))
	})
	return slices.CompactFunc(all, func(a, b acquaintance) bool { return a.incarnation == b.incarnation })
}

// encode is what decodeState reads.
func (s *state) encode() []byte {
	e := varint.Encoder{stateVersion}
	if s.pending != "" {
		e[0] = pendingVersion
	}
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
	names := s.kept()
	watermarks := s.watermarks(names)
	e.Uint(uint64(len(watermarks)))
	for _, p := range watermarks {
		e.Fixed(p.incarnation)
		e.Uint(p.seq)
		e.Uint(uint64(p.used.UnixMilli()))
	}
	e.Uint(uint64(len(names)))
	for _, name := range names {
		e.Text(name)
		e.Fixed(s.peers[name].incarnation)
	}
	if s.pending != "" {
		e.Text(s.pending)
	}
	return e
}

func decodeState(b []byte) (*state, error) {
	d := decoder{varint.NewDecoder(b)}
	v := d.Byte()
	if v != stateVersion && v != pendingVersion {
		return nil, errors.New("repair: what the last process kept is of another version, or damaged: use the agentctl that wrote it, or remove it, and gateways are flushed once where events may be lacking")
	}
	s := newState()
	if born := d.Uint(); born > 0 {
		s.born = time.UnixMilli(int64(born))
	}
	s.based, s.base, s.floor, s.head = d.Bool(), d.Uint(), d.Uint(), d.Uint()
	s.incarnations = varint.List(&d.Decoder, maxIncarnations, func() incarnation { return incarnation{d.Fixed(), d.Uint()} })
	logs := map[uint64]acquaintance{}
	varint.List(&d.Decoder, maxPeers, func() (none struct{}) {
		p := acquaintance{watermark{d.Fixed(), d.Uint()}, time.UnixMilli(int64(d.Uint())), journal.Digest{}}
		logs[p.incarnation] = p
		return none
	})
	// An older version kept hearsay, too: a log with no peer known to have it is left
	// out. A peer may find its number to be hearsay, and says so (see compared).
	varint.List(&d.Decoder, maxPeers, func() (none struct{}) {
		name := d.Text(maxPeerName)
		if p, known := logs[d.Fixed()]; known {
			s.peers[name] = &p
		}
		return none
	})
	if v == pendingVersion {
		s.pending = d.Text(8 * maxGapReason) // bytes that do not print are longer there
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("%w in what the last process kept: remove it, and gateways are flushed once where events may be lacking", err)
	}
	return s, nil
}

func newState() *state {
	return &state{peers: map[string]*acquaintance{}}
}
