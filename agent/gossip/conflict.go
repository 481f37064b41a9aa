package gossip

import (
	"bytes"
	"log"
	"net"
	"sync/atomic"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

const (
	// conflictQuery is serf's query by which a node asks the members who owns its name.
	conflictQuery = "_serf_conflict"
	// conflictResponseType is serf's messageConflictResponseType.
	conflictResponseType = 6
)

// conflict judges whether this node ends because another one claims its name. The members
// vote, as in serf, and a node without a majority ends. Serf counts 0 of 0 votes as a lost
// vote, so one packet ends a node that is alone, and two nodes of one name end both. Here
// a vote that nobody took part in decides nothing. Only one vote goes on at a time,
// however many packets claim the name.
type conflict struct {
	memberlist.ConflictDelegate // serf's, for the names of others
	self                        string
	logger                      *log.Logger
	serf                        *serf.Serf
	voting                      atomic.Bool
}

// NotifyConflict is called by memberlist, which holds a lock meanwhile.
func (c *conflict) NotifyConflict(existing, other *memberlist.Node) {
	if existing.Name != c.self {
		c.ConflictDelegate.NotifyConflict(existing, other)
		return
	}
	if !c.voting.CompareAndSwap(false, true) {
		return
	}
	// Serf's own words.
	c.logger.Printf("[ERR] serf: Node name conflicts with another node at %s:%d. Names must be unique! (Resolution enabled: true)", other.Addr, other.Port)
	go func() {
		defer c.voting.Store(false)
		c.vote()
	}()
}

// vote asks the members, and ends this node if it lost.
func (c *conflict) vote() {
	local := c.serf.Memberlist().LocalNode()
	resp, err := c.serf.Query(conflictQuery, []byte(c.self), nil)
	if err != nil {
		c.logger.Printf("[ERR] serf: Failed to start name resolution query: %v", err)
		return
	}
	votes, ours := 0, 0
	for r := range resp.ResponseCh() {
		addr, port, ok := voteOf(r.Payload)
		if !ok {
			c.logger.Printf("[ERR] serf: Invalid conflict query response type: %v", r.Payload)
			continue
		}
		votes++
		if addr.Equal(local.Addr) && port == local.Port {
			ours++
		}
	}
	switch {
	case votes == 0:
		c.logger.Printf("[WARN] agent: no member voted on the name conflict, so this node stays; each node needs a name of its own (-node)")
	case ours > votes/2:
		c.logger.Printf("[INFO] serf: majority in name conflict resolution [%d / %d]", ours, votes)
	default:
		c.logger.Printf("[WARN] serf: minority in name conflict resolution, quiting [%d / %d]", ours, votes)
		if err := c.serf.Shutdown(); err != nil {
			c.logger.Printf("[ERR] serf: Failed to shutdown: %v", err)
		}
	}
}

// voteOf reads a member's answer: the address that it knows for the name.
func voteOf(payload []byte) (addr net.IP, port uint16, ok bool) {
	if len(payload) == 0 || payload[0] != conflictResponseType {
		return nil, 0, false
	}
	var m struct {
		Addr net.IP
		Port uint16
	}
	err := codec.NewDecoder(bytes.NewReader(payload[1:]), &userMessageFormat).Decode(&m)
	return m.Addr, m.Port, err == nil
}
