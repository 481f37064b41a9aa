package link

import (
	"context"
	"sync"
	"time"

	"agentctl/handler/queue"
	"agentctl/handler/varint"
)

// batchBytes is how much is written to a link at once, at most, but for one
// message that is longer.
const batchBytes = 60 << 10

// missing is the record of a message that the peer does not take: a number
// with nothing to deliver.
var missing = []byte{0}

// peer is what is known of another agent to which something was sent: a queue
// of records that it has not acknowledged, and the link to it, if any. Its
// goroutine is run; it runs until it has been idle for long, is forgotten, or
// Run ends.
type peer struct {
	links   *Links
	name    string
	ctx     context.Context
	cancel  context.CancelCauseFunc
	wake    chan struct{} // something may be sent
	linked  chan struct{} // a link of the peer was adopted
	dialing chan struct{} // held by who opens a link
	asking  chan struct{} // a slot for each request

	mu      sync.Mutex // taken after that of Links
	addr    string
	id      senderID // of this node to the peer; another one where numbers are left out
	link    *link    // nil or dead where there is none; the peer may have opened it
	retired *link    // the last link that was opened here and that another one replaced
	alone   bool     // the peer opens no streams on links from here, as it has told last
	queue   queue.Queue[[]byte]
	first   uint64    // sequence number of the first in queue
	awaited uint64    // of the last message that Waiting counts, acknowledged or not
	sent    int       // how many of queue were written to the current stream
	dropped uint64    // since Behind was last told
	since   time.Time // when the queue got its first message, or an acknowledgement came last
	users   int       // requests that use this entry
	kept    bool      // the link is to be there, see Keep
	unkept  bool      // it was to be there before
	// notPeerUntil is when a node that is no peer is asked again; what is sent
	// to it before is dropped.
	notPeerUntil time.Time
}

// newPeer needs the lock of l.
func newPeer(l *Links, to Peer) *peer {
	p := &peer{
		links:   l,
		name:    to.Name,
		wake:    make(chan struct{}, 1),
		linked:  make(chan struct{}, 1),
		dialing: make(chan struct{}, 1),
		asking:  make(chan struct{}, linkRequests),
		addr:    to.Addr,
		id:      newSenderID(),
		queue:   queue.New[[]byte](l.cfg.queueMessages, l.cfg.queueBytes),
		first:   1,
	}
	p.ctx, p.cancel = context.WithCancelCause(l.ctx)
	return p
}

func (p *peer) asPeer() Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := Peer{Name: p.name, Addr: p.addr}
	if p.link.alive() {
		to.version, to.features = p.link.peer.version, p.link.peer.features
	}
	return to
}

func (p *peer) current() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// moveTo notes a new address, and returns the link that was opened to the old one.
func (p *peer) moveTo(addr string) (stale *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addr == addr {
		return nil
	}
	p.addr, p.id = addr, newSenderID() // the old address has no use for it, and may be another node's
	p.notPeerUntil = time.Time{}
	if p.link != nil && p.link.opened {
		stale = p.link
	}
	p.link = nil
	p.rouse() // it may be kept, and its stream of events ends
	return stale
}

// renewID draws another ID, as the one that was used came to another node.
func (p *peer) renewID(used senderID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id == used {
		p.id = newSenderID()
	}
}

// push queues a record, or drops it. awaited says that Waiting counts it.
func (p *peer) push(record []byte, awaited bool) {
	l := p.links
	p.mu.Lock()
	reason := ""
	now, first := time.Now(), p.queue.Len() == 0
	switch {
	case now.Before(p.notPeerUntil):
		reason = dropNotPeer
	case !p.queue.Push(record, len(record)):
		reason = dropFull
	case first:
		p.since = now
	}
	if awaited && reason == "" {
		p.awaited = p.first + uint64(p.queue.Len()) - 1
	}
	if reason != "" {
		p.mu.Unlock()
		p.drop(1, reason)
		return
	}
	p.mu.Unlock()
	l.metrics.queued.Inc()
	p.rouse()
}

// drop counts messages that were dropped, and has Behind told.
func (p *peer) drop(n int, reason string) {
	p.links.metrics.dropped.WithLabelValues(reason).Add(float64(n))
	p.mu.Lock()
	p.dropped += uint64(n)
	p.mu.Unlock()
	p.links.report()
}

// takeDropped counts what was dropped since the last call, and tells whether
// the node is taken for no peer.
func (p *peer) takeDropped() (n uint64, notPeer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = p.dropped
	p.dropped = 0
	return n, time.Now().Before(p.notPeerUntil)
}

// clear empties the queue, and returns how many there were. Their numbers are
// not used again.
func (p *peer) clear() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.queue.Clear()
	p.first += uint64(n)
	p.id, p.sent = newSenderID(), 0
	return n
}

func (p *peer) popLocked(n int) {
	for range n {
		p.queue.Pop()
	}
	p.first += uint64(n)
	p.sent = max(0, p.sent-n)
}

// acknowledged is the first sequence number that the peer has not acknowledged.
func (p *peer) acknowledged() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first
}

// waiting is how many messages are not acknowledged, up to the last one that is awaited.
func (p *peer) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaited < p.first {
		return 0
	}
	return int(p.awaited - p.first + 1)
}

func (p *peer) pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.Len() > 0
}

// restart begins again with what was not acknowledged, on a new stream.
func (p *peer) restart() (first uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = 0
	return p.first
}

// next appends records that are to be sent to buf, and reports how many of
// them the peer does not take, being longer than the link's limit. The error says that
// another link is used by now.
func (p *peer) next(buf []byte, lk *link) (_ []byte, tooLong int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != lk {
		return nil, 0, errMoved
	}
	for ; p.sent < p.queue.Len(); p.sent++ {
		record := p.queue.At(p.sent)
		if d := varint.NewDecoder(record); d.Uint() > uint64(lk.maxMessage) {
			tooLong++
			record = missing
			p.queue.Set(p.sent, record, len(record))
		}
		if len(buf) > 0 && len(buf)+len(record) > batchBytes {
			break
		}
		buf = append(buf, record...)
	}
	return buf, tooLong, nil
}

// acknowledge takes what the peer has, up to and with last, off the queue. It
// reports whether all of it had been sent.
func (p *peer) acknowledge(last uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last >= p.first+uint64(p.sent) {
		return false
	}
	if last >= p.first {
		n := int(last - p.first + 1)
		p.popLocked(n)
		p.since = time.Now()
		p.links.metrics.acknowledged.Add(float64(n))
	}
	return true
}
