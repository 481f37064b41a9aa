package publish

import (
	"hash/maphash"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// burstEvents of one Lamport time at most: serf looks through them one by
	// one for each copy that comes.
	burstEvents = 50
	// burstTime is how long one Lamport time is used. To a node that joins
	// meanwhile, what has a Lamport time from before is old: so it is no longer
	// than a join may take anyway. The window of 512 is then 2.5 s at least.
	burstTime = 5 * time.Millisecond
)

// burst picks the Lamport times of events that are published here. Receivers
// drop what is more than 512 Lamport times behind the newest, so events that
// come close together share one: then that window holds 25,600 of them instead
// of 512. Those that share one must differ, since serf takes equal ones for
// copies of each other.
type burst struct {
	ltime serf.LamportTime
	began time.Time
	seen  map[uint64]bool // what has this Lamport time, by the key of name and payload
}

// next is the Lamport time of an event that is published now, where serf's
// clock stands at clock.
func (b *burst) next(clock serf.LamportTime, name string, payload []byte, now time.Time) serf.LamportTime {
	key := keyOf(name, payload)
	if clock != b.ltime+1 || len(b.seen) >= burstEvents || now.Sub(b.began) >= burstTime || b.seen[key] {
		b.ltime, b.began = clock, now
		if b.seen == nil {
			b.seen = make(map[uint64]bool, burstEvents)
		}
		clear(b.seen)
	}
	b.seen[key] = true
	return b.ltime
}

var keySeed = maphash.MakeSeed()

// keyOf is the same for equal events. Where others have it too, one of them gets a Lamport
// time of its own.
func keyOf(name string, payload []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(keySeed)
	h.WriteString(name)
	h.WriteByte(0)
	h.Write(payload)
	return h.Sum64()
}
