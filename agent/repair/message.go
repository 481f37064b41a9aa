package repair

import (
	"fmt"

	"agentctl/handler/journal"
)

// version is that of the messages. A request begins with it and its kind, an
// answer with it alone.
const version = 1

type kind byte

const (
	kindCompare kind = 1
	kindDigests kind = 2
	kindIDs     kind = 3
	kindEvents  kind = 4
	kindRecord  kind = 5 // only of peers that say that they have records
)

// Limits of messages. What an encoder makes is within them.
const (
	maxRanges  = 64
	fanOut     = 16        // parts of a range
	maxIDs     = 1000      // in a request or answer
	maxID      = 64        // bytes
	maxHearsay = 1024      // watermarks in an older version's answer
	maxText    = 1 << 20   // bytes of a name or payload
	pageBytes  = 256 << 10 // of events in an answer, unless a single one is longer
)

// versionError is a message of another version than is spoken here.
type versionError struct{ got byte }

func (e *versionError) Error() string {
	return fmt.Sprintf("repair: a message of version %d, and %d is spoken here: run the same version of agentctl on all nodes", e.got, version)
}

// compareRequest asks whether the peer has anything that is lacking here.
type compareRequest struct {
	from        uint64 // Lamport time from which on digests count
	age         uint64 // milliseconds since the asking node was born
	incarnation uint64 // the peer's, as last known; 0 for none
	seq         uint64 // up to where its log was compared then
	// known are digests that mean that nothing is lacking: the asking node's own
	// one is the last of them.
	known []journal.Digest
}

// origin begins each answer: whose log it is about, and the newest event of it
// that was trimmed when the answer was done.
type origin struct{ incarnation, trimmed uint64 }

type compareAnswer struct {
	origin
	head      uint64 // of the log, before anything else was looked at
	newest    uint64 // Lamport time
	watermark uint64 // from where on the log is to be compared
	same      bool   // the digest is one of those known
	digest    journal.Digest
	late      bool // there are events below the asked Lamport time, above watermark
	records   bool // the peer answers a recordRequest
}

// watermark says that nothing of a log up to a sequence number is lacking.
type watermark struct{ incarnation, seq uint64 }

// span is a range of Lamport times, both included.
type span = [2]uint64

type digestsRequest struct{ spans []span }

type digestsAnswer struct {
	origin
	digests []journal.Digest // of the parts of each span, see split
}

// idsRequest asks for the IDs in spans, which ascend.
type idsRequest struct {
	spans []span
	above uint64
	after journal.LTimePos
}

type idsAnswer struct {
	origin
	more bool // there is more behind the last of them
	ids  []listedID
}

type listedID struct {
	pos journal.LTimePos
	id  string
}

type eventsRequest struct{ ids []string }

// eventsAnswer has those events of the first done IDs that are still held.
type eventsAnswer struct {
	origin
	done   uint64
	events []wireEvent
}

type wireEvent struct {
	ltime         uint64
	name, payload string
}

// recordRequest asks for a digest of all events that came to the peer's log behind a
// number and that it has let go of, and maybe of others beside them.
type recordRequest struct {
	above uint64
	lows  [recordLevels - 1]uint64 // of the asking node's record
}

type recordAnswer struct {
	origin
	upTo  uint64 // the number up to which the log had let go of events
	known bool   // the record has them all, and what follows counts
	vouched
}
