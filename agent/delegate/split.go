package delegate

import (
	"hash/fnv"
	"hash/maphash"
	"io"
	"maps"
	"sync"
	"time"
)

const (
	// Few is how many members a node asks by itself.
	Few = 64
	// mostGroups is how many groups the members are split into, unless a group had more
	// than maxNames.
	mostGroups = 16
	// leastGroup is how many members a group has at least, on average.
	leastGroup = 16
	// worthIt is how many names are worth a delegate.
	worthIt = 3
	// maxLevel is how many delegates a request passes at most, less one.
	maxLevel = 1
	// leftOut is how long a delegate is left out that refused or was not reached.
	leftOut = time.Minute
	// maxLeftOut is how many are remembered.
	maxLeftOut = 4096
)

// hash is the same on every node, since the two paths rest on it.
func hash(name string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, name)
	x := h.Sum64()
	for _, by := range []uint64{0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53} { // FNV's low bits are poor
		x ^= x >> 33
		x *= by
	}
	return x ^ x>>33
}

// pathOf is the path on which a member is a delegate.
func pathOf(name string) int { return int(hash(name) & 1) }

// groupOf is a member's group among so many, on a level.
func groupOf(name string, level, groups int) int {
	return int((hash(name) >> (8 + 24*level)) % uint64(groups))
}

// groupsFor is into how many groups so many members are split.
func groupsFor(members int) int {
	return max(1, min(mostGroups, members/leastGroup), 2*members/maxNames) // the hash does not split evenly
}

// group is members that one delegate asks.
type group struct {
	names     []string
	delegates []string // the best first; two at most
}

// choice is how a node chooses its delegates.
type choice struct {
	self string
	seed maphash.Seed

	mu      sync.Mutex
	leftOut map[string]time.Time // until when
}

func newChoice(self string) *choice {
	return &choice{self: self, seed: maphash.MakeSeed(), leftOut: map[string]time.Time{}}
}

// split puts names into groups, and chooses delegates for each from a pool. Groups depend
// on the pool's size, and delegates on the pool, so that they stay the same from round to
// round.
func (c *choice) split(names, pool []string, level, path int) []group {
	n := groupsFor(len(pool))
	groups := make([]group, n)
	for _, name := range names {
		g := &groups[groupOf(name, level, n)]
		g.names = append(g.names, name)
	}
	best := make([]ranking, n)
	var anybody ranking // for groups without a delegate of their own
	for _, name := range c.fit(pool, path) {
		score := maphash.String(c.seed, name)
		best[groupOf(name, level, n)].add(name, score)
		anybody.add(name, score)
	}
	for i := range groups {
		groups[i].delegates = best[i].names()
		if len(groups[i].delegates) == 0 {
			groups[i].delegates = anybody.names()
		}
	}
	return groups
}

// ranking has the two names with the highest scores.
type ranking [2]struct {
	name  string
	score uint64
}

func (r *ranking) add(name string, score uint64) {
	switch {
	case r[0].name == "" || score > r[0].score:
		r[1], r[0].name, r[0].score = r[0], name, score
	case r[1].name == "" || score > r[1].score:
		r[1].name, r[1].score = name, score
	}
}

func (r *ranking) names() (all []string) {
	for _, of := range r {
		if of.name != "" {
			all = append(all, of.name)
		}
	}
	return all
}

// fit are the members that may be delegates on a path.
func (c *choice) fit(pool []string, path int) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, name := range pool {
		if name != c.self && pathOf(name) == path && !c.leftOut[name].After(now) {
			all = append(all, name)
		}
	}
	return all
}

// leave leaves a delegate out for a while.
func (c *choice) leave(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if len(c.leftOut) >= maxLeftOut {
		maps.DeleteFunc(c.leftOut, func(_ string, until time.Time) bool { return !until.After(now) })
	}
	if len(c.leftOut) >= maxLeftOut {
		clear(c.leftOut) // those that do not work are found again
	}
	c.leftOut[name] = now.Add(leftOut)
}
