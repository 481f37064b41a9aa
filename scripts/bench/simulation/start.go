//go:build linux

package simulation

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"

	"agentctl/agent/memnet"
)

// A cluster of N nodes that starts at once tells each node of each other one some 16
// times by gossip. That is 32 million messages for 1,000 nodes, and no part of what is
// measured. So here the nodes learn of each other by serf's full syncs alone, along a
// tree, and the network loses the words about nodes that joined. It loses nothing else.

const (
	// fanout is how many nodes join one node.
	fanout = 16
	// joinsAtOnce bounds the memory that full syncs take.
	joinsAtOnce = 32
)

// join has every node know all: each joins the node above it in the tree, from the
// lowest level to the highest, which then knows all, and once more from the highest
// down.
func (c *cluster) join() error {
	var levels [][2]int // first node, and the one behind the last
	for first, size := 1, fanout; first < len(c.nodes); first, size = first+size, size*fanout {
		levels = append(levels, [2]int{first, min(first+size, len(c.nodes))})
	}
	for i := range levels {
		if err := c.joinLevel(levels[len(levels)-1-i]); err != nil {
			return err
		}
	}
	for _, level := range levels {
		if err := c.joinLevel(level); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) joinLevel(level [2]int) error {
	var joins errgroup.Group
	joins.SetLimit(joinsAtOnce)
	for i := level[0]; i < level[1]; i++ {
		joins.Go(func() error {
			above := c.nodes[(i-1)/fanout].transport.Addr()
			if err := c.nodes[i].join(above.String()); err != nil {
				return fmt.Errorf("node %d does not join: %w", i, err)
			}
			return nil
		})
	}
	return joins.Wait()
}

// quietTransport keeps words about nodes that joined from the network while starting
// is set. What it keeps is not counted.
type quietTransport struct {
	*memnet.Transport
	starting *atomic.Bool
}

// WriteToAddress sends what is left of a packet.
func (t quietTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if t.starting.Load() {
		if b = withoutJoins(b); len(b) == 0 {
			return time.Now(), nil
		}
	}
	return t.Transport.WriteToAddress(b, a)
}

// WriteTo is WriteToAddress.
func (t quietTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// The first bytes of memberlist's messages, and the second one of serf's.
const (
	aliveMessage    = 4
	compoundMessage = 7
	serfMessage     = 8
	crcHeader       = 12
	crcLength       = 5 // with its first byte
	serfJoin        = 1
)

// withoutJoins cuts the messages about nodes that joined out of a packet, and returns
// the rest, if there is less, without a checksum: memberlist takes both.
func withoutJoins(packet []byte) []byte {
	msg := packet
	if len(msg) > crcLength && msg[0] == crcHeader {
		msg = msg[crcLength:]
	}
	if len(msg) < 2 || msg[0] != compoundMessage {
		if tellsOfJoin(msg) {
			return nil
		}
		return packet
	}
	count := int(msg[1])
	lengths, bodies := msg[2:2+2*count], msg[2+2*count:]
	var keptLengths, kept []byte
	for ; len(lengths) > 0; lengths = lengths[2:] {
		n := binary.BigEndian.Uint16(lengths)
		if !tellsOfJoin(bodies[:n]) {
			keptLengths, kept = append(keptLengths, lengths[:2]...), append(kept, bodies[:n]...)
		}
		bodies = bodies[n:]
	}
	switch len(keptLengths) {
	case 0:
		return nil
	case 2 * count:
		return packet
	}
	return append(append([]byte{compoundMessage, byte(len(keptLengths) / 2)}, keptLengths...), kept...)
}

func tellsOfJoin(msg []byte) bool {
	return len(msg) > 1 && (msg[0] == aliveMessage || msg[0] == serfMessage && msg[1] == serfJoin)
}
