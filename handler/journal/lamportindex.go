package journal

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Digest sums up a set of user events by their IDs. Sets with equal digests are equal,
// unless somebody made a great effort to find two that are not.
type Digest struct {
	Count  uint64
	Hi, Lo uint64 // a sum of hashes, as one number of 128 bits
}

func newDigest(id string) Digest {
	h := sha256.Sum256([]byte(id))
	return Digest{1, binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])}
}

func (d *Digest) add(o Digest) {
	var carry uint64
	d.Count += o.Count
	d.Lo, carry = bits.Add64(d.Lo, o.Lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, o.Hi, carry)
}

func (d *Digest) sub(o Digest) {
	var borrow uint64
	d.Count -= o.Count
	d.Lo, borrow = bits.Sub64(d.Lo, o.Lo, 0)
	d.Hi, _ = bits.Sub64(d.Hi, o.Hi, borrow)
}

// ltimeIndex has the user events of a log by Lamport time, in a radix tree whose nodes
// hold the digest of all events below them. It has at most as many levels as the highest
// Lamport time has digits in hex, and a node of few events has none below it. To add or
// remove an event takes a step for each level; the digest of a range takes some 16 times
// as many. The zero value is empty.
//
// It holds no events, but their sequence numbers. A function that its methods get tells
// their IDs: to keep the digest of each would double what an event takes here, and a range
// covers at most some thirty events of a node in part.
type ltimeIndex struct {
	root   *ltimeNode
	height int         // levels below the root
	spare  []ltimeNode // for newNode

	trimmed uint64 // sequence number of the newest user event that was removed
	floor   uint64 // above the Lamport times of all that were removed

	// The hashes of entries that were removed, the newest in the first set. If
	// that is full, it becomes the second, and the second is forgotten.
	trimmedHashes [2]hashSet
	// forgotten is above the Lamport times of all whose hashes are forgotten, and
	// nextForgotten of those in the second set, too.
	forgotten, nextForgotten uint64
}

// ltimeNode covers 16^level Lamport times, one at level 0.
type ltimeNode struct {
	digest Digest
	newest uint64          // the highest sequence number below
	kids   *[16]*ltimeNode // nil: the events are in leaves
	leaves []LTimePos      // in order
}

// newNode makes a node. The nodes of events that came one after the other lie together,
// since each small piece of memory that outlives a burst keeps a whole page of what the
// burst needed.
func (x *ltimeIndex) newNode() *ltimeNode {
	if len(x.spare) == 0 {
		x.spare = make([]ltimeNode, 16)
	}
	n := &x.spare[0]
	x.spare = x.spare[1:]
	return n
}

// maxFlat is how many events a node may have without others below it; at level 0 it may
// have any number.
const maxFlat = 16

// width is the number of Lamport times that a node of a level covers, less 1.
func width(level int) uint64 {
	if level >= 16 {
		return math.MaxUint64
	}
	return 1<<(4*level) - 1
}

func digit(ltime uint64, level int) int { return int(ltime>>(4*(level-1))) & 15 }

// add adds an entry, whose sequence number is above all in the index.
func (x *ltimeIndex) add(e *Entry, id func(seq uint64) string) {
	if x.root == nil {
		x.root, x.height = x.newNode(), 0
	}
	for e.Event.LTime > width(x.height) {
		x.height++
		if x.root.kids != nil {
			x.root = &ltimeNode{digest: x.root.digest, newest: x.root.newest, kids: &[16]*ltimeNode{x.root}}
		}
	}
	d := newDigest(e.Event.ID)
	n := x.root
	for level := x.height; ; level-- {
		n.digest.add(d)
		n.newest = e.Seq
		if n.kids == nil {
			if level == 0 || len(n.leaves) < maxFlat {
				i, _ := n.find(e)
				n.leaves = slices.Insert(n.leaves, i, LTimePos{e.Event.LTime, e.Seq})
				return
			}
			x.split(n, level, id)
		}
		n = x.kid(n, e.Event.LTime, level)
	}
}

// split puts the events of a node into nodes below it.
func (x *ltimeIndex) split(n *ltimeNode, level int, id func(seq uint64) string) {
	n.kids = new([16]*ltimeNode)
	for _, at := range n.leaves {
		kid := x.kid(n, at.LTime, level)
		kid.digest.add(newDigest(id(at.Seq)))
		kid.newest = max(kid.newest, at.Seq)
		kid.leaves = append(kid.leaves, at)
	}
	n.leaves = nil
}

// find tells where an entry is among the leaves, or would be.
func (n *ltimeNode) find(e *Entry) (int, bool) {
	return slices.BinarySearchFunc(n.leaves, LTimePos{e.Event.LTime, e.Seq}, LTimePos.compare)
}

// kid returns the node below n for a Lamport time, and makes it if there is none.
func (x *ltimeIndex) kid(n *ltimeNode, ltime uint64, level int) *ltimeNode {
	kid := &n.kids[digit(ltime, level)]
	if *kid == nil {
		*kid = x.newNode()
	}
	return *kid
}

// remove takes off the entry with the lowest sequence number. At least the last keep
// entries that were removed are remembered.
func (x *ltimeIndex) remove(e *Entry, keep int) {
	x.trimmed = e.Seq
	before := x.floor
	if e.Event.LTime >= x.floor {
		x.floor = e.Event.LTime + 1
		if x.floor == 0 { // beyond the highest number there is
			x.floor = math.MaxUint64
		}
	}
	n := x.root
	for level := x.height; n.kids != nil; level-- {
		n = n.kids[digit(e.Event.LTime, level)]
	}
	i, _ := n.find(e)
	d := newDigest(e.Event.ID)
	if i == 0 { // it always is at level 0, which may have many
		n.leaves = n.leaves[1:]
	} else {
		n.leaves = slices.Delete(n.leaves, i, i+1)
	}
	if n := x.trimmedHashes[0].len(); n == 0 || n >= keep {
		x.trimmedHashes = [2]hashSet{{}, x.trimmedHashes[0]}
		x.forgotten, x.nextForgotten = max(x.forgotten, x.nextForgotten), before
	}
	x.trimmedHashes[0].add(d.Hi)

	slot := &x.root
	for level := x.height; ; level-- {
		n := *slot
		if n.digest.sub(d); n.digest.Count == 0 {
			*slot = nil // with all nodes below
			break
		}
		if n.kids == nil {
			break
		}
		slot = &n.kids[digit(e.Event.LTime, level)]
	}
	for x.height > 0 && x.root != nil && x.root.kids != nil {
		below := x.root.kids[0]
		if below == nil || below.digest.Count < x.root.digest.Count {
			break
		}
		x.root = below
		x.height--
	}
}

// removed tells whether an event is remembered as removed.
func (x *ltimeIndex) removed(id string) bool {
	if at, _, ok := strings.Cut(id, "-"); ok { // as of nearly all that is new: no hash is needed
		if ltime, err := strconv.ParseUint(at, 10, 64); err == nil && ltime >= x.floor {
			return false
		}
	}
	h := newDigest(id).Hi
	return x.trimmedHashes[0].has(h) || x.trimmedHashes[1].has(h)
}

// digest sums up the events with Lamport times between from and to, both included.
func (x *ltimeIndex) digest(from, to uint64, id func(seq uint64) string) (d Digest) {
	x.root.digestOf(x.height, 0, from, to, id, &d)
	return d
}

func (n *ltimeNode) digestOf(level int, low, from, to uint64, id func(seq uint64) string, d *Digest) {
	high := low + width(level)
	if n == nil || to < low || from > high {
		return
	}
	if from <= low && high <= to {
		d.add(n.digest)
		return
	}
	for _, at := range n.leaves {
		if from <= at.LTime && at.LTime <= to {
			d.add(newDigest(id(at.Seq)))
		}
	}
	if n.kids == nil {
		return
	}
	for i, kid := range n.kids {
		kid.digestOf(level-1, low+uint64(i)<<(4*(level-1)), from, to, id, d)
	}
}

// walk calls visit with the events of a range, by Lamport time and then sequence number,
// until it returns false.
func (x *ltimeIndex) walk(r *LTimeRange, visit func(seq uint64) bool) {
	x.root.walk(x.height, 0, r, visit)
}

func (n *ltimeNode) walk(level int, low uint64, r *LTimeRange, visit func(seq uint64) bool) bool {
	if n == nil || n.newest <= r.Above || r.To < low || max(r.From, r.After.LTime) > low+width(level) {
		return true
	}
	if n.kids != nil {
		for i, kid := range n.kids {
			if !kid.walk(level-1, low+uint64(i)<<(4*(level-1)), r, visit) {
				return false
			}
		}
		return true
	}
	for _, at := range n.leaves {
		if r.picks(at) && !visit(at.Seq) {
			return false
		}
	}
	return true
}

func (p LTimePos) compare(o LTimePos) int {
	return cmp.Or(cmp.Compare(p.LTime, o.LTime), cmp.Compare(p.Seq, o.Seq))
}

// picks tells whether the range has a user event at a position.
func (r *LTimeRange) picks(at LTimePos) bool {
	return r.From <= at.LTime && at.LTime <= r.To && at.Seq > r.Above && at.compare(r.After) > 0
}
