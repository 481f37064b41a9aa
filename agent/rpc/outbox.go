package rpc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
)

const (
	batchBytes    = 64 << 10  // written at a time, and what the write timeout is about
	turnBytes     = 16 << 10  // of one stream in a batch, before the next has its turn
	maxReplyBytes = 256 << 10 // of answers that wait; the next request waits for less
	keepReplies   = 1024      // answers that a buffer may have room for to be used again
	frameOverhead = 64        // added to a record's length for what keeping it costs
)

// outbox is what waits to be written to one connection: answers, and a queue
// for each stream. Answers go first, so that a stream never holds up a request;
// streams take turns. Its methods never block, but for those with a context.
type outbox struct {
	maxStreams int
	maxBytes   int
	shared     []bound // of the connection's client, and of all
	// enter tells whether the connection's client may have one more stream, which leave
	// ends. nil: it may.
	enter func() (leave func(), ok bool)

	wake    chan struct{} // there may be something to write
	written chan struct{} // answers have been written

	mu         sync.Mutex
	replies    [][]byte
	replyBytes int
	writing    bool              // answers have been taken and are not written yet
	busy       bool              // anything has
	finished   bool              // no answer will be added: write those there are and end
	closed     bool              // nothing is taken in any more
	open       map[uint64]*queue // by Seq; also those that are held back
	turns      []*queue          // released ones, in the order of their turns
	bytes      int               // in all queues
	dropped    int               // since takeDropped
}

// bound bounds the bytes that wait in the queues of several outboxes, with overhead.
type bound struct {
	bytes *atomic.Int64
	most  int
}

func newOutbox(maxStreams, maxBytes int, shared ...bound) *outbox {
	return &outbox{
		maxStreams: maxStreams,
		maxBytes:   maxBytes,
		shared:     shared,
		wake:       make(chan struct{}, 1),
		written:    make(chan struct{}, 1),
		open:       make(map[uint64]*queue),
	}
}

// queue holds the records of one stream, monitor or query. The outbox's mutex
// guards the fields below it.
type queue struct {
	out     *outbox
	seq     uint64
	head    []byte                // the encoded header of each record
	max     int                   // records
	notice  func(lost int) []byte // the body of a record that tells of lost ones; may be nil
	counter prometheus.Counter    // of dropped records
	stop    func()                // ends what puts records in; called once, without the mutex
	leave   func()                // gives the stream's place back; may be nil
	room    chan struct{}         // a record has been taken

	bodies [][]byte
	size   int // bytes with overhead
	lost   int // since the last notice
	gone   bool
	ending bool // gone once it is empty
}

var (
	errTooManyStreams = errors.New("too many streams on this connection: stop one, or open another connection")
	errStreamsTaken   = errors.New("too many streams of this client, or of all clients: stop some")
)

// errStreamExists is answered for a Seq that still has a stream.
var errStreamExists = errors.New(wire.ErrStreamExists)

// add takes in q, held back until release.
func (o *outbox) add(q *queue) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.open[q.seq] != nil:
		return errStreamExists
	case len(o.open) >= o.maxStreams:
		return errTooManyStreams
	}
	if o.enter != nil && !o.closed {
		var ok bool
		if q.leave, ok = o.enter(); !ok {
			return errStreamsTaken
		}
	}
	q.out = o
	q.gone = o.closed
	q.room = make(chan struct{}, 1)
	o.open[q.seq] = q
	return nil
}

// streams is how many streams, monitors and queries are open.
func (o *outbox) streams() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.open)
}

// release lets the records of q be written, after the answers added so far.
func (o *outbox) release(q *queue) {
	o.mu.Lock()
	if !q.gone {
		o.turns = append(o.turns, q)
	}
	o.mu.Unlock()
	poke(o.wake)
}

// remove ends the queue of that Seq, if there is one, and drops what is in it.
func (o *outbox) remove(seq uint64) *queue {
	o.mu.Lock()
	q := o.open[seq]
	if q != nil {
		o.discard(q)
	}
	o.mu.Unlock()
	if q != nil && q.stop != nil {
		q.stop()
	}
	return q
}

// discard forgets q. The caller holds the mutex.
func (o *outbox) discard(q *queue) {
	o.count(-q.size)
	q.gone, q.bodies, q.size = true, nil, 0
	delete(o.open, q.seq)
	if q.leave != nil {
		q.leave()
	}
	if i := slices.Index(o.turns, q); i >= 0 {
		o.turns = slices.Delete(o.turns, i, i+1)
	}
}

// close ends all queues.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	ended := make([]*queue, 0, len(o.open))
	for _, q := range o.open {
		ended = append(ended, q)
		o.discard(q)
	}
	o.mu.Unlock()
	for _, q := range ended {
		if q.stop != nil {
			q.stop()
		}
	}
}

// put adds a record, or drops it, counted, where it does not fit.
func (q *queue) put(body []byte) {
	o := q.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if q.gone {
		return
	}
	if q.lost > 0 && q.fits(body) {
		q.tell()
	}
	if !q.fits(body) {
		q.lost++
		o.dropped++
		q.counter.Inc()
		return
	}
	q.push(body)
}

// putWait adds a record as soon as there is room. It returns false if the
// queue or ctx ended first. With last, the queue ends once it is empty.
func (q *queue) putWait(ctx context.Context, body []byte, last bool) bool {
	o := q.out
	for {
		o.mu.Lock()
		// An empty queue takes any record, so that other streams of the
		// connection delay a query but never stop it.
		if q.gone || len(q.bodies) == 0 || q.fits(body) {
			defer o.mu.Unlock()
			if q.gone {
				return false
			}
			q.ending = last
			q.push(body)
			return true
		}
		o.mu.Unlock()
		select {
		case <-q.room:
		case <-ctx.Done():
			return false
		}
	}
}

func (q *queue) fits(body []byte) bool {
	o, n := q.out, len(body)+frameOverhead
	if len(q.bodies) >= q.max || o.bytes+n > o.maxBytes {
		return false
	}
	// Whoever keeps up has room, whatever others leave unread.
	return o.bytes == 0 || o.bytes+n <= batchBytes ||
		!slices.ContainsFunc(o.shared, func(b bound) bool { return int(b.bytes.Load())+n > b.most })
}

// count notes that the queues hold so many bytes more.
func (o *outbox) count(n int) {
	o.bytes += n
	for _, b := range o.shared {
		b.bytes.Add(int64(n))
	}
}

func (q *queue) push(body []byte) {
	q.bodies = append(q.bodies, body)
	q.size += len(body) + frameOverhead
	q.out.count(len(body) + frameOverhead)
	poke(q.out.wake)
}

// tell adds the notice of lost records. It may exceed the limits by this one
// record, since it stands in for those that were lost.
func (q *queue) tell() {
	if q.notice != nil {
		q.push(q.notice(q.lost))
	}
	q.lost = 0
}

// takeDropped returns how many records were dropped since the last call.
func (o *outbox) takeDropped() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.dropped
	o.dropped = 0
	return n
}

// poke wakes the one that waits on c, now or when it next does.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
