package gossip

import (
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"

	"agentctl/handler"
)

const (
	// horizonStep is by how much a time above handler.MaxLTime may exceed this node's
	// clock. Members that publish at the same moment differ by less. A stranger needs
	// billions of messages to get a cluster to handler.EndLTime by such steps.
	horizonStep = 1 << 16
	// horizonPatience is for how long full syncs must have shown clocks above
	// handler.MaxLTime, and no others, until this node believes them. Somebody
	// has brought the cluster there while this node was away. Of honest members that are
	// not there, one would have sent a full sync in this time.
	horizonPatience = 5 * time.Minute
)

// horizon refuses Lamport times of a clock of serf that lie beyond what any cluster can
// have counted. Serf believes each, and passes it on. Close to the end of the
// numbers its clock starts again at 0, and then members find each other's messages too old.
type horizon struct {
	clock *serf.LamportClock

	mu      sync.Mutex
	near    time.Time // when a full sync last had a clock that may be, or this node began
	refused uint64    // messages refused since
}

// takes tells whether a message may have a Lamport time.
func (h *horizon) takes(t serf.LamportTime) bool {
	return t <= handler.MaxLTime || t <= min(h.clock.Time()+horizonStep, handler.EndLTime)
}

// refuse counts a message that was refused.
func (h *horizon) refuse() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused++
}

// synced tells whether this node believes the clock of a full sync, which is the time of
// the member's next message. If it does so only after a long time, it also tells how
// many messages it has refused in vain.
func (h *horizon) synced(clock serf.LamportTime) (takes bool, inVain uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case clock <= handler.MaxLTime+1:
		h.near, h.refused = time.Now(), 0
		return true, 0
	case h.takes(clock - 1):
		return true, 0
	case clock > handler.EndLTime || time.Since(h.near) < horizonPatience:
		return false, 0
	}
	inVain, h.refused = h.refused, 0
	return true, inVain
}

// horizons are those of serf's three clocks.
type horizons struct {
	member, event, query horizon
	refused              func(ltime uint64) // is told of each refusal
	lost                 func(n uint64)     // see Config; may be nil
}

func newHorizons(s *serf.Serf, c *Config) (*horizons, error) {
	h := &horizons{refused: c.Refused, lost: c.Lost}
	for field, to := range map[string]*horizon{"clock": &h.member, "eventClock": &h.event, "queryClock": &h.query} {
		clock, err := clockOf(s, field)
		if err != nil {
			return nil, err
		}
		to.clock, to.near = clock, time.Now()
	}
	return h, nil
}

func (h *horizons) refuse(of *horizon, t serf.LamportTime) {
	of.refuse()
	if h.refused != nil {
		h.refused(uint64(t))
	}
}

// takes tells whether serf may get a message that is no user event. Serf sees to one that
// cannot be read.
func (h *horizons) takes(raw []byte) bool {
	if len(raw) == 0 {
		return true
	}
	var of *horizon
	switch raw[0] {
	case leaveMessageType, joinMessageType:
		of = &h.member
	case queryMessageType:
		of = &h.query
	default:
		return true // it has no time that serf takes over
	}
	var m struct{ LTime serf.LamportTime }
	if codec.NewDecoderBytes(raw[1:], &userMessageFormat).Decode(&m) != nil || of.takes(m.LTime) {
		return true
	}
	h.refuse(of, m.LTime)
	return false
}

// cut takes out of a full sync what this node does not believe, and tells whether there
// was any. A time of 0 tells serf nothing.
func (h *horizons) cut(s *syncState) (changed bool) {
	zero := func(of *horizon, t *serf.LamportTime) {
		takes, inVain := of.synced(*t)
		if inVain > 0 && of == &h.event && h.lost != nil {
			h.lost(inVain)
		}
		if takes && *t > handler.MaxLTime {
			of.clock.Witness(*t - 1) // before its events are judged
		}
		if !takes {
			h.refuse(of, *t)
			*t, changed = 0, true
		}
	}
	zero(&h.member, &s.LTime)
	zero(&h.event, &s.EventLTime)
	zero(&h.query, &s.QueryLTime)
	for name, t := range s.StatusLTimes {
		if !h.member.takes(t) {
			h.refuse(&h.member, t)
			s.StatusLTimes[name], changed = 0, true
		}
	}
	for i, e := range s.Events {
		if e != nil && !h.event.takes(e.LTime) {
			h.refuse(&h.event, e.LTime)
			s.Events[i], changed = nil, true
		}
	}
	return changed
}
