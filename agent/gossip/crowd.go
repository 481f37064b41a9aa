package gossip

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

const (
	// mostMembers is how many members a node knows at most, with those that failed or
	// left. Each takes a few KiB. Anybody who can gossip can invent members.
	mostMembers = 10_000
	// crowdInterval is the least time between two looks at serf's list of members, which
	// is long when it matters.
	crowdInterval = time.Second
	// mostStrange is in how many messages within strangeInterval a node believes that
	// somebody joins or leaves whom it does not know. Serf keeps each as long, since its
	// member may follow.
	mostStrange     = 4096
	strangeInterval = 5 * time.Minute // serf's RecentIntentTimeout
)

// errCrowd is why memberlist does not get to know a member. It is a line of its log.
var errCrowd = errors.New("the cluster has as many members as an agent knows")

// crowd bounds how many names of members a node takes in. Memberlist asks it of each word
// that a node is alive.
type crowd struct {
	self    string
	most    int
	members func() []serf.Member

	mu      sync.Mutex
	names   map[string]struct{} // of members, and of some that serf has forgotten
	looked  time.Time           // when names were last compared with serf's list
	strange int                 // messages of unknown names since
	since   time.Time
}

// NotifyAlive is memberlist's question. It holds its lock meanwhile, as where it tells serf
// of a member.
func (c *crowd) NotifyAlive(n *memberlist.Node) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.names[n.Name]; known || n.Name == c.self {
		return nil
	}
	if len(c.names) >= c.most && time.Since(c.looked) >= crowdInterval {
		c.looked = time.Now()
		clear(c.names)
		for _, m := range c.members() {
			c.names[m.Name] = struct{}{}
		}
	}
	if len(c.names) >= c.most {
		return errCrowd
	}
	c.names[n.Name] = struct{}{}
	return nil
}

// hears tells whether serf may be told that somebody joins or leaves.
func (c *crowd) hears(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.names[name]; known || name == c.self {
		return true
	}
	if now := time.Now(); now.Sub(c.since) >= strangeInterval {
		c.since, c.strange = now, 0
	}
	c.strange++
	return c.strange <= mostStrange
}

// takes tells whether serf may get a message. Serf sees to one that cannot be read.
func (c *crowd) takes(raw []byte) bool {
	if len(raw) == 0 || raw[0] != joinMessageType && raw[0] != leaveMessageType {
		return true
	}
	var m struct{ Node string }
	return codec.NewDecoderBytes(raw[1:], &userMessageFormat).Decode(&m) != nil || c.hears(m.Node)
}

// cut takes out of a full sync the names that are too many, and tells whether there were
// any.
func (c *crowd) cut(s *syncState) (changed bool) {
	for _, name := range s.LeftMembers { // each has a time, unless it was made up
		if _, ok := s.StatusLTimes[name]; !ok {
			changed = true
		}
	}
	for name := range s.StatusLTimes {
		if !c.hears(name) {
			delete(s.StatusLTimes, name)
			changed = true
		}
	}
	if changed {
		s.LeftMembers = slices.DeleteFunc(s.LeftMembers, func(name string) bool { _, ok := s.StatusLTimes[name]; return !ok })
	}
	return changed
}
