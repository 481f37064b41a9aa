package gossip

import (
	"bytes"
	"io"
	"log"
	"sync"
	"time"
)

// overflowLine begins memberlist's log line about a message of serf's, of type 8, that
// its queue of HandoffQueueDepth messages had no room for. Memberlist tells nobody else.
// Its lines about the other types are about the list of members, not about events.
const overflowLine = "[WARN] memberlist: handler queue full, dropping message (8) "

// overflowGathered is for how long lost messages are counted before they are told: what
// is lost within it costs a gateway one flush.
const overflowGathered = time.Second

// overflow reads memberlist's log, and counts the messages that its queue had no room
// for. Each may have been an event, and there may be no other copy of it.
//
// A message is lost while the queue is full, which it stays for as long as this node
// cannot keep up. So only the first line of a second is passed on: there may be
// thousands, and memberlist holds the lock of the queue meanwhile.
type overflow struct {
	out  io.Writer
	lost func(n uint64)

	mu    sync.Mutex
	n     uint64      // lost, and not told yet
	timer *time.Timer // nil before the first loss
}

// watchOverflow is a logger for memberlist that writes to another one, and tells lost
// how many messages were dropped: once a second at most, and at the latest a second
// after the loss. lost must not wait.
func watchOverflow(logger *log.Logger, lost func(n uint64)) (*log.Logger, *overflow) {
	o := &overflow{out: logger.Writer(), lost: lost}
	return log.New(o, logger.Prefix(), logger.Flags()), o
}

func (o *overflow) Write(line []byte) (int, error) {
	// Behind what the logger itself writes, so that no text of a member passes for it.
	if at := bytes.IndexByte(line, '['); at >= 0 && bytes.HasPrefix(line[at:], []byte(overflowLine)) && !o.count() {
		return len(line), nil
	}
	return o.out.Write(line)
}

// count notes a lost message, and tells whether it is the first that is not told yet.
func (o *overflow) count() (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	switch {
	case o.n > 1:
		return false
	case o.timer == nil:
		o.timer = time.AfterFunc(overflowGathered, o.tell)
	default:
		o.timer.Reset(overflowGathered)
	}
	return true
}

// tell tells of what is not told yet, if there is any.
func (o *overflow) tell() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n > 0 {
		o.timer.Stop()
		o.lost(o.n)
		o.n = 0
	}
}
