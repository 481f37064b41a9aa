package repair

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"

	"agentctl/handler/journal"
)

// The levels of a record. A block of the first covers 64 Lamport times, and one of each
// further level as many as 64 of the level before.
const (
	recordLevels = 3
	blockBits    = 6
	// fineBlocks is how many blocks the first level has at most, and coarseBlocks each
	// other. With events at each Lamport time, the first covers 131,072 of them, the second
	// two million, and the last 134 million.
	fineBlocks, coarseBlocks = 2048, 512
	// maxStrays is how many IDs a record has at most, beside its blocks.
	maxStrays = 256
)

// A record sums up all user events that were ever in this node's log, also those that it
// has let go of since. Two nodes whose records are equal in a range of Lamport times have
// both had the same events there. So a node can show what it has let go of to peers that
// did not compare with it in time.
//
// Events lie in blocks of Lamport times. Each has the digest of its events. Blocks begin
// at multiples of their width, so two nodes can compare a range if both have no block that
// is only partly in it. A block that others have as a whole, and this node in part, would
// be of no use: of those the record has IDs.
type record struct {
	mu      sync.Mutex
	seq     uint64 // up to which number of the log the record goes
	since   uint64 // the events up to this number may be missing from it
	dropped uint64 // the highest number among the events of dropped blocks and strays
	levels  [recordLevels]recordLevel
	whole   uint64 // a Lamport time; events below are strays. It begins a block
	strays  []stray
	past    past
}

// recordLevel is what a record has of Lamport times from low on, up to the lowest of the
// level before. low is a multiple of the width of the next level's blocks.
type recordLevel struct {
	low    uint64
	blocks []block // in order
}

// block sums up the events of some Lamport times, the first of which is low.
type block struct {
	low            uint64
	digest         journal.Digest
	oldest, newest uint64 // numbers in the log
}

// stray is an event that is in no block.
type stray struct {
	ltime, seq uint64
	id         string
}

// none is a Lamport time above those of all events, or nearly so.
const none = math.MaxUint64

// blockSpan is the block of a level that has a Lamport time.
func blockSpan(ltime uint64, level int) span {
	mask := uint64(1)<<(blockBits*(level+1)) - 1
	return span{ltime &^ mask, ltime | mask}
}

// blockAfter is the first Lamport time of a block of the first level that is not below
// another.
func blockAfter(ltime uint64) uint64 {
	if s := blockSpan(ltime, 0); s[0] < ltime && s[1] < math.MaxUint64 {
		return s[1] + 1
	}
	return ltime
}

// idDigest is the digest of one event.
func idDigest(id string) journal.Digest {
	h := sha256.Sum256([]byte(id))
	return journal.Digest{Count: 1, Hi: binary.BigEndian.Uint64(h[:]), Lo: binary.BigEndian.Uint64(h[8:])}
}

func sum(a, b journal.Digest) journal.Digest {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(a.Hi, b.Hi, carry)
	return journal.Digest{Count: a.Count + b.Count, Hi: hi, Lo: lo}
}

// note adds what has come to the log since the last call. If the log has let go of some of
// that meanwhile, the record vouches for nothing up to there.
func (c *record) note(store Store) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	ext, err := store.Extent()
	if err != nil {
		return err
	}
	defer func() { c.past.add(now, c.seq) }()
	if ext.Head == c.seq {
		return nil
	}
	page := journal.LTimeRange{To: math.MaxUint64, Above: c.seq}
	for {
		list, err := store.LTimePage(page, maxIDs)
		if err != nil {
			return err
		}
		for _, rec := range list {
			page.After = journal.LTimePos{LTime: rec.Event.LTime, Seq: rec.Seq}
			if rec.Seq <= ext.Head { // the next call finds others
				c.addEvent(stray{rec.Event.LTime, rec.Seq, rec.Event.ID})
			}
		}
		if len(list) < maxIDs {
			break
		}
	}
	after, err := store.Extent()
	if err != nil {
		return err
	}
	if after.Trimmed > c.seq {
		c.since = after.Trimmed
	}
	c.seq = ext.Head
	return nil
}

// begin sets from which Lamport time on this node has all that others have. Below it are
// events that it does not want, as they are older than the node, or that it has let go of
// in an earlier process.
func (c *record) begin(from uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.whole = blockAfter(from); from <= 1 {
		c.whole = 0 // clocks begin at 1: there was nothing before
	}
	strays := c.strays
	c.strays = nil
	for _, e := range strays {
		c.addEvent(e)
	}
}

func (c *record) addEvent(e stray) {
	switch {
	case e.ltime >= c.whole:
		c.add(e.ltime, block{digest: idDigest(e.id), oldest: e.seq, newest: e.seq})
	case len(c.strays) < maxStrays:
		c.strays = append(c.strays, e)
	default:
		c.dropped = max(c.dropped, e.seq)
	}
}

// add adds a block's events to the block that has a Lamport time, in the finest level that
// goes back so far.
func (c *record) add(ltime uint64, b block) {
	for level := range c.levels {
		if l := &c.levels[level]; ltime >= l.low {
			b.low = blockSpan(ltime, level)[0]
			i, found := slices.BinarySearchFunc(l.blocks, b.low, func(b block, low uint64) int { return cmp.Compare(b.low, low) })
			if found {
				l.blocks[i].add(b)
				return
			}
			l.blocks = slices.Insert(l.blocks, i, b)
			c.fold(level)
			return
		}
	}
	c.dropped = max(c.dropped, b.newest)
}

func (b *block) add(o block) {
	b.digest = sum(b.digest, o.digest)
	b.oldest, b.newest = min(b.oldest, o.oldest), max(b.newest, o.newest)
}

// fold keeps a level to its limit: the lowest blocks become one of the next level, and
// those of the last are dropped.
func (c *record) fold(level int) {
	l, most := &c.levels[level], coarseBlocks
	if level == 0 {
		most = fineBlocks
	}
	if len(l.blocks) <= most {
		return
	}
	whole := blockSpan(l.blocks[0].low, level+1)
	n := 0
	for n < len(l.blocks) && l.blocks[n].low <= whole[1] {
		n++
	}
	folded := slices.Clone(l.blocks[:n])
	l.blocks = slices.Delete(l.blocks, 0, n)
	l.low = whole[1] + 1 // there are more blocks than whole has, so higher ones, too
	for _, b := range folded {
		if level+1 == recordLevels {
			c.dropped = max(c.dropped, b.newest)
		} else {
			c.add(b.low, b)
		}
	}
}

// lows tells from which Lamport times on the levels but the last go.
func (c *record) lows() (lows [recordLevels - 1]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range lows {
		lows[i] = c.levels[i].low
	}
	return lows
}

// widen makes a range of one whose ends are not within a block here, nor within one of a
// record with other lows.
func (c *record) widen(s span, lows [recordLevels - 1]uint64) span {
	for i, end := range s {
		for level, low := range lows {
			if end < max(low, c.levels[level].low) {
				end = blockSpan(s[i], level+1)[i]
			}
		}
		s[i] = end
	}
	return s
}

// total sums up the events of a range. It fails if a block is partly in the range.
func (c *record) total(s span) (d journal.Digest, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sumUp(s)
}

func (c *record) sumUp(s span) (d journal.Digest, ok bool) {
	for level := range c.levels {
		for _, b := range c.levels[level].blocks {
			switch r := blockSpan(b.low, level); {
			case r[1] < s[0] || r[0] > s[1]:
			case r[0] < s[0] || r[1] > s[1]:
				return journal.Digest{}, false
			default:
				d = sum(d, b.digest)
			}
		}
	}
	return d, true
}

// vouched is some of what a node has let go of: the digest of a range of Lamport times, if
// that is not empty, and the IDs of strays.
type vouched struct {
	within span
	digest journal.Digest
	strays []string
}

// vouch gives all events of the log with numbers above one number and up to another, and
// maybe others. It fails if the record may lack some of them.
func (c *record) vouch(above, to uint64, lows [recordLevels - 1]uint64) (v vouched, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if above < c.since || above < c.dropped || to > c.seq {
		return v, false
	}
	v.within = span{math.MaxUint64, 0}
	for level := range c.levels {
		for _, b := range c.levels[level].blocks {
			if b.newest > above && b.oldest <= to {
				r := blockSpan(b.low, level)
				v.within = span{min(v.within[0], r[0]), max(v.within[1], r[1])}
			}
		}
	}
	for _, e := range c.strays {
		if e.seq > above && e.seq <= to {
			v.strays = append(v.strays, e.id)
		}
	}
	if v.within[0] > v.within[1] {
		v.within = span{1, 0}
		return v, true
	}
	v.within = c.widen(v.within, lows)
	v.digest, ok = c.sumUp(v.within)
	return v, ok
}

// headAt gives a number that the log had passed at a time, 0 if that is not known.
func (c *record) headAt(at time.Time) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.past.headAt(at)
}
