package link

import (
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// AckDelay is how long the acknowledgement of messages waits at most that Deliver has
	// as [Soon].
	AckDelay = 500 * time.Millisecond
	// ackMost is how many messages are not acknowledged at most for that reason: a sender
	// keeps them.
	ackMost = 256
)

// Ack says when messages are acknowledged that Deliver was given. The zero Ack is at once.
// Acknowledgements are in order: messages are never acknowledged before earlier ones of
// their sender.
type Ack struct {
	soon bool
	hold *hold
}

// Soon is for messages whose sender need not know soon that they came. They are
// acknowledged along with later ones on the same link, or after [AckDelay].
func Soon() Ack { return Ack{soon: true} }

// Held is for messages that are acknowledged once settle is called, by any goroutine and
// perhaps before Deliver has returned. A call does not block, and a second one does nothing.
// The sender takes this node for stuck if that is too late, and sends the messages again
// over a new link if the link breaks before. Deliver does not get them again.
func Held() (a Ack, settle func()) {
	h := &hold{}
	return Ack{hold: h}, h.settle
}

// hold is what an acknowledgement waits for.
type hold struct {
	over atomic.Bool
	of   atomic.Pointer[source] // whose messages these are; set before over is looked at
}

func (h *hold) settle() {
	if h.over.Swap(true) {
		return
	}
	if src := h.of.Load(); src != nil {
		src.acks.advance()
	}
}

// settling is how many of a source's messages may be acknowledged.
type settling struct {
	mu      sync.Mutex
	settled uint64   // all messages up to this number
	held    []heldUp // those behind, in order
	streams []*acker // on which the source's messages come
}

// heldUp are messages up to a number whose acknowledgement waits, and settled ones behind.
type heldUp struct {
	last uint64
	by   *hold
}

// delivered notes that the messages up to a number were delivered.
func (src *source) delivered(last uint64, ack Ack) {
	s := &src.acks
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.held); {
	case ack.hold != nil:
		s.held = append(s.held, heldUp{last, ack.hold})
		ack.hold.of.Store(src)
		s.advanceLocked() // it may be over already
	case n > 0:
		s.held[n-1].last = last
	default:
		s.settled = last
	}
}

// advance has acknowledged what waited for a hold that is over.
func (s *settling) advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanceLocked()
}

func (s *settling) advanceLocked() {
	n := 0
	for n < len(s.held) && s.held[n].by.over.Load() {
		s.settled = s.held[n].last
		n++
	}
	if n == 0 {
		return
	}
	s.held = slices.Delete(s.held, 0, n)
	for _, a := range s.streams {
		a.armLocked(0)
	}
}

// acker writes the acknowledgements of a stream of events. It has a timer once one has to
// wait, and no goroutine. All but the first two fields are guarded by the lock of src.acks.
type acker struct {
	src   *source
	w     io.Writer
	delay time.Duration

	got     uint64 // number of the last message that came on the stream
	said    uint64 // of the last one that was acknowledged on it
	writing bool   // a goroutine is, and looks again behind that
	buf     [binary.MaxVarintLen64]byte
	err     error // of a write
	timer   *time.Timer
	armed   bool           // timer is to call fire
	firing  sync.WaitGroup // such calls
}

func newAcker(src *source, w io.Writer, delay time.Duration) *acker {
	a := &acker{src: src, w: w, delay: delay}
	src.acks.mu.Lock()
	defer src.acks.mu.Unlock()
	src.acks.streams = append(src.acks.streams, a)
	return a
}

// begin says which number the first message on the stream has.
func (a *acker) begin(first uint64) {
	a.src.acks.mu.Lock()
	defer a.src.acks.mu.Unlock()
	a.said = first - 1
}

// end has nothing more written, and waits for a write that is under way.
func (a *acker) end() {
	s := &a.src.acks
	s.mu.Lock()
	a.disarmLocked()
	s.streams = slices.DeleteFunc(s.streams, func(b *acker) bool { return a == b })
	s.mu.Unlock()
	a.firing.Wait()
}

// came says that the messages up to a number came on the stream, and acknowledges what is
// settled: at once, or soon. It returns the error of a write, of an earlier one too.
func (a *acker) came(last uint64, soon bool) error {
	a.src.acks.mu.Lock()
	defer a.src.acks.mu.Unlock()
	a.got = last
	if soon && last-a.said < ackMost {
		a.armLocked(a.delay)
		return a.err
	}
	a.disarmLocked()
	return a.writeLocked()
}

// writeLocked acknowledges what is settled. While it writes it lets go of the lock.
func (a *acker) writeLocked() error {
	s := &a.src.acks
	for !a.writing && a.err == nil {
		last := min(a.got, s.settled)
		if last <= a.said {
			break
		}
		a.said, a.writing = last, true
		s.mu.Unlock()
		_, err := a.w.Write(binary.AppendUvarint(a.buf[:0], last))
		s.mu.Lock()
		a.writing, a.err = false, err
	}
	return a.err
}

// armLocked has fire called after a time, or sooner if that is due already.
func (a *acker) armLocked(after time.Duration) {
	switch {
	case a.armed && after > 0:
		return
	case a.armed && !a.timer.Stop():
		return // it is just being called
	case !a.armed:
		a.armed = true
		a.firing.Add(1)
	}
	if a.timer == nil {
		a.timer = time.AfterFunc(after, a.fire)
	} else {
		a.timer.Reset(after)
	}
}

func (a *acker) disarmLocked() {
	if a.armed && a.timer.Stop() {
		a.armed = false
		a.firing.Done()
	}
}

func (a *acker) fire() {
	defer a.firing.Done()
	a.src.acks.mu.Lock()
	defer a.src.acks.mu.Unlock()
	a.armed = false
	a.writeLocked() // the next came returns its error
}
