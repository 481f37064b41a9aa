package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// window is how many bytes one direction of a stream holds, about as many as
// Linux lets a socket's buffers grow to.
const window = 4 << 20

// newStream makes a stream's two ends.
func newStream(dialer, acceptor *Transport) (ours, theirs net.Conn) {
	there, back := newDirection(), newDirection()
	a, b := newConn(dialer, acceptor, back, there), newConn(acceptor, dialer, there, back)
	a.dialed, a.ignored = true, new(atomic.Bool)
	b.ignored = a.ignored
	return a, b
}

// conn is one end of a stream.
type conn struct {
	from, to *Transport
	in, out  *direction
	dialed   bool
	begun    sync.Once    // of a dialed one: the first byte has been written
	ignored  *atomic.Bool // of both ends: it is not counted
	reading  deadline
	writing  deadline
	once     sync.Once
	closed   chan struct{}
}

func newConn(from, to *Transport, in, out *direction) *conn {
	return &conn{from: from, to: to, in: in, out: out, reading: newDeadline(), writing: newDeadline(), closed: make(chan struct{})}
}

func (c *conn) LocalAddr() net.Addr  { return c.from.addr }
func (c *conn) RemoteAddr() net.Addr { return c.to.addr }

func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		if err := c.ready(&c.reading); err != nil {
			return 0, err
		}
		if parted, moved := c.from.net.parted(c.from.addr, c.to.addr); parted {
			if err := c.wait(&c.reading, time.Time{}, moved); err != nil {
				return 0, err
			}
			continue
		}
		n, due, changed, err := c.in.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		if err := c.wait(&c.reading, due, changed); err != nil {
			return 0, err
		}
	}
}

func (c *conn) Write(b []byte) (written int, err error) {
	if counts := c.from.net.cfg.Counts; c.dialed && counts != nil && len(b) > 0 {
		c.begun.Do(func() { c.ignored.Store(!counts(b[0])) })
	}
	for len(b) > 0 {
		if err := c.ready(&c.writing); err != nil {
			return written, err
		}
		n, changed, err := c.out.put(b, c.underWay)
		if err != nil {
			return written, err
		}
		written, b = written+n, b[n:]
		if n > 0 {
			continue
		}
		if err := c.wait(&c.writing, time.Time{}, changed); err != nil {
			return written, err
		}
	}
	return written, nil
}

// underWay draws how long n bytes are under way, and counts them.
func (c *conn) underWay(n int) time.Duration {
	network := c.from.net
	d := network.delay()
	segments := (n + segment - 1) / segment
	for range segments {
		if network.hit() {
			d += network.cfg.Resend
		}
	}
	if !c.ignored.Load() {
		c.from.segments.Add(int64(segments))
		c.from.segmentBytes.Add(int64(n))
	}
	return d
}

// ready tells why nothing can be read or written at all.
func (c *conn) ready(d *deadline) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
	}
	select {
	case <-d.passed():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// wait waits for a change, or for due where it is set.
func (c *conn) wait(d *deadline, due time.Time, changed <-chan struct{}) error {
	var arrival <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(time.Until(due))
		defer t.Stop()
		arrival = t.C
	}
	select {
	case <-changed:
	case <-arrival:
	case <-d.passed():
	case <-c.closed:
	}
	return c.ready(d)
}

// Close ends both directions; what was written before still arrives.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.out.end(time.Now().Add(c.from.net.delay()))
		c.in.leave()
		if c.dialed {
			c.from.open.Add(-1)
		} else {
			c.from.accepted.Add(-1)
		}
	})
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.reading.set(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.writing.set(t); return nil }

func (c *conn) SetDeadline(t time.Time) error {
	c.reading.set(t)
	c.writing.set(t)
	return nil
}

// direction is the bytes from one end to the other.
type direction struct {
	mu      sync.Mutex
	pieces  []piece
	held    int
	due     time.Time     // when the newest piece arrives: none overtakes another
	wrote   time.Time     // when it was written
	ended   bool          // by the writer; the reader knows it from due on
	left    bool          // the reader has
	changed chan struct{} // closed with each change
}

type piece struct {
	data []byte
	due  time.Time
}

func newDirection() *direction { return &direction{changed: make(chan struct{})} }

// take reads what has arrived. With nothing there it tells when to look again:
// at due, if it is set, or after a change.
func (d *direction) take(b []byte) (n int, due time.Time, changed <-chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for len(d.pieces) > 0 && n < len(b) && !d.pieces[0].due.After(now) {
		p := &d.pieces[0]
		m := copy(b[n:], p.data)
		n, p.data = n+m, p.data[m:]
		if len(p.data) == 0 {
			p.data = nil // else the array behind the slice would keep what was read
			d.pieces = d.pieces[1:]
		}
	}
	if len(d.pieces) == 0 {
		d.pieces = nil
	}
	switch {
	case n > 0:
		d.held -= n
		d.change()
	case len(d.pieces) > 0:
		due = d.pieces[0].due
	case d.ended && !d.due.After(now):
		err = io.EOF
	case d.ended:
		due = d.due
	}
	return n, due, d.changed, err
}

// put appends as much as there is room for; underWay tells for how long n bytes
// are. What is written at one instant of a bubble's clock arrives at one: yamux
// writes a frame in two pieces, and holds a mutex between reading them, which
// stops that clock where someone waits for it.
func (d *direction) put(b []byte, underWay func(n int) time.Duration) (n int, changed <-chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left {
		return 0, nil, io.ErrClosedPipe
	}
	if n = min(len(b), window-d.held); n > 0 {
		now := time.Now()
		if took := underWay(n); !now.Equal(d.wrote) {
			d.later(now.Add(took))
		}
		d.wrote = now
		d.pieces = append(d.pieces, piece{append([]byte(nil), b[:n]...), d.due})
		d.held += n
		d.change()
	}
	return n, d.changed, nil
}

func (d *direction) end(due time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	d.later(due)
	d.change()
}

func (d *direction) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.pieces, d.held = true, nil, 0
	d.change()
}

func (d *direction) later(due time.Time) {
	if due.After(d.due) {
		d.due = due
	}
}

func (d *direction) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// deadline is a time limit that can be moved while it is waited for.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{} // closed once the time has passed
}

func newDeadline() deadline { return deadline{over: make(chan struct{})} }

func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // it is being closed
	}
	d.timer = nil
	select {
	case <-d.over:
		d.over = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	over := d.over
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(over) })
	} else {
		close(over)
	}
}
