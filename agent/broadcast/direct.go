package broadcast

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"agentctl/handler/queue"
)

const (
	// directQueue and directBytes are how many messages wait for one node, and
	// their bytes. What does not fit is left to gossip.
	directQueue = 32_768
	directBytes = 16 << 20
	// A stock agent keeps 1,024 messages that it has not handled, and the
	// newest of them first: so it gets directBatch of them every directPause.
	directBatch = 20
	directPause = 10 * time.Millisecond
	// directIdle is how long the goroutine of a node lives with nothing to send.
	directIdle = 10 * time.Second
	// packetOverhead is at most what memberlist adds to a message of ours: type,
	// checksum, encryption, label.
	packetOverhead = 64
)

// sender is what direct needs of memberlist.
type sender interface {
	SendBestEffort(to *memberlist.Node, msg []byte) error
	SendReliable(to *memberlist.Node, msg []byte) error
}

// direct sends messages straight to members that are no peers, beside gossip:
// in a packet where it fits and packets get there, else over TCP. Serf there drops the second copy.
type direct struct {
	send    sender
	packet  int                    // largest message that fits into a packet
	deaf    func(name string) bool // packets do not get to the node
	metrics *metrics

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
	// A name may come back at another address: then it is another node here.
	boxes map[memberlist.Address]*outbox
}

// outbox is what waits for one node. It is guarded by direct's lock.
type outbox struct {
	to   *memberlist.Node
	wake chan struct{} // holds a value when there is something to send
	msgs queue.Queue[[]byte]
}

func newDirect(send sender, packetSize int, deaf func(name string) bool, m *metrics) *direct {
	if deaf == nil {
		deaf = func(string) bool { return false }
	}
	return &direct{send: send, packet: packetSize - packetOverhead, deaf: deaf, metrics: m, boxes: map[memberlist.Address]*outbox{}}
}

// Run waits until ctx ends, and then for all goroutines; the context that
// enqueue is given has to end, too. Nothing is sent afterwards.
func (d *direct) Run(ctx context.Context) error {
	<-ctx.Done()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.wg.Wait()
	return nil
}

// enqueue sends a message to a node soon; it never waits.
func (d *direct) enqueue(ctx context.Context, to *memberlist.Node, msg []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	box := d.boxes[to.FullAddress()]
	if box == nil {
		box = &outbox{to: to, wake: make(chan struct{}, 1), msgs: queue.New[[]byte](directQueue, directBytes)}
		d.boxes[to.FullAddress()] = box
		d.wg.Go(func() { d.serve(ctx, box) })
	}
	if !box.msgs.Push(msg, len(msg)) {
		d.metrics.directSent("dropped")
		return
	}
	select {
	case box.wake <- struct{}{}:
	default:
	}
}

// serve sends what comes for one node, at its pace, until ctx ends or nothing
// has come for long.
func (d *direct) serve(ctx context.Context, box *outbox) {
	idle := time.NewTimer(directIdle)
	defer idle.Stop()
	for n := 0; ctx.Err() == nil; {
		if n == directBatch {
			n = 0
			select {
			case <-time.After(directPause):
			case <-ctx.Done():
			}
			continue
		}
		if msg := d.next(box); msg != nil {
			if !d.deliver(box.to, msg) {
				d.drop(box)
			}
			idle.Reset(directIdle)
			n++
			continue
		}
		select {
		case <-box.wake:
		case <-idle.C:
			if d.retire(box) {
				return
			}
		case <-ctx.Done():
		}
	}
}

// next takes the oldest message out of a box, or returns nil.
func (d *direct) next(box *outbox) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	msg, _ := box.msgs.Pop()
	return msg
}

// drop empties a box whose node cannot be reached, and leaves that to gossip:
// each further message could take a dial's time limit.
func (d *direct) drop(box *outbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range box.msgs.Clear() {
		d.metrics.directSent("failed")
	}
}

// deliver sends a message; false means that there was no connection to be had.
func (d *direct) deliver(to *memberlist.Node, msg []byte) (reached bool) {
	way, send := "udp", d.send.SendBestEffort
	if len(msg) > d.packet || d.deaf(to.Name) {
		way, send = "tcp", d.send.SendReliable
	}
	reached = true
	if err := send(to, msg); err != nil {
		reached = way == "udp" // a packet's failure costs no time
		way = "failed"         // gossip goes on; it also finds out what is wrong
	}
	d.metrics.directSent(way)
	return reached
}

// waiting is how many messages to all nodes were not sent yet.
func (d *direct) waiting() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, box := range d.boxes {
		n += box.msgs.Len()
	}
	return n
}

// retire takes off a box that is empty; what comes next gets a new one.
func (d *direct) retire(box *outbox) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if box.msgs.Len() > 0 {
		return false
	}
	delete(d.boxes, box.to.FullAddress())
	return true
}
