package handler

import (
	"context"
	"time"
)

// memoryCursor is a target's queue in a Memory. All but the channels is
// guarded by the journal's lock; a closed one still gathers events until
// another cursor of the target takes them over.
type memoryCursor struct {
	m       *Memory
	filters Filters

	given    deque[*Record] // handed out, not acknowledged
	waiting  deque[*Record] // not handed out
	bytes    int            // size of both
	lost     uint64
	gapSince time.Time
	closed   bool

	wake   chan struct{} // holds a value when waiting got one
	losses chan struct{} // holds a value when lost grew
	done   chan struct{} // closed by close
}

// add queues a record and, past the limits, gives up the oldest that nobody
// works on. What was handed out is kept: it is either delivered or lost, never
// counted as both. All that was handed out is within the limits, so this ends.
func (c *memoryCursor) add(rec *Record) {
	c.waiting.pushBack(rec)
	c.bytes += rec.size()
	for c.over(c.given.len()+c.waiting.len(), c.bytes) {
		c.bytes -= c.waiting.popFront().size()
		c.lose(1)
	}
	signal(c.wake)
}

// lose counts events that this cursor will never hand out.
func (c *memoryCursor) lose(n uint64) {
	if n == 0 {
		return
	}
	if c.lost == 0 {
		c.gapSince = time.Now()
	}
	c.lost += n
	signal(c.losses)
}

func (c *memoryCursor) over(events, bytes int) bool {
	return events > c.m.cfg.MaxPending || bytes > c.m.cfg.MaxPendingBytes
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a value is there already, and says the same
	}
}

func (c *memoryCursor) Next(ctx context.Context) (Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Record{}, err
		}
		rec, err := c.take()
		if rec != nil || err != nil {
			return deref(rec), err
		}
		select {
		case <-c.wake:
		case <-c.done:
		case <-ctx.Done():
		}
	}
}

func (c *memoryCursor) take() (*Record, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.waiting.len() == 0 {
		return nil, nil
	}
	rec := c.waiting.popFront()
	c.given.pushBack(rec)
	return rec, nil
}

func deref(rec *Record) Record {
	if rec == nil {
		return Record{}
	}
	return *rec
}

func (c *memoryCursor) Ack(seq uint64) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	for c.given.len() > 0 && c.given.at(0).Seq <= seq {
		c.bytes -= c.given.popFront().size()
	}
	return nil
}

func (c *memoryCursor) Seek(seq uint64) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	var next deque[*Record]
	size := 0
	keep := func(rec *Record) {
		next.pushBack(rec)
		size += rec.size()
	}
	// The cursor may hold events that the log does not retain, or that passed
	// an earlier filter. Both are in the order of sequence numbers.
	held := c.held(seq)
	log := &c.m.log
	for i := range log.len() {
		rec := log.at(i)
		if rec.Seq < seq || !c.filters.Match(rec.Event.Type, rec.Event.Name) {
			continue
		}
		for len(held) > 0 && held[0].Seq <= rec.Seq {
			if held[0] != rec {
				keep(held[0])
			}
			held = held[1:]
		}
		keep(rec)
	}
	for _, rec := range held {
		keep(rec)
	}
	if c.over(next.len(), size) {
		return &SeekError{Seq: seq, Waiting: next.len(), WaitingSize: size,
			MaxPending: c.m.cfg.MaxPending, MaxBytes: c.m.cfg.MaxPendingBytes}
	}
	c.given, c.waiting, c.bytes = deque[*Record]{}, next, size
	signal(c.wake)
	return nil
}

// held is what waits from a sequence number on, handed out or not.
func (c *memoryCursor) held(seq uint64) []*Record {
	var recs []*Record
	for _, queue := range []*deque[*Record]{&c.given, &c.waiting} {
		for i := range queue.len() {
			if rec := queue.at(i); rec.Seq >= seq {
				recs = append(recs, rec)
			}
		}
	}
	return recs
}

func (c *memoryCursor) Losses() <-chan struct{} { return c.losses }

func (c *memoryCursor) Status() CursorStatus {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	s := CursorStatus{
		Waiting:  c.given.len() + c.waiting.len(),
		Lost:     c.lost,
		GapSince: c.gapSince,
	}
	if c.given.len() > 0 {
		s.Oldest = c.given.at(0).Event.Time
	} else if c.waiting.len() > 0 {
		s.Oldest = c.waiting.at(0).Event.Time
	}
	return s
}

func (c *memoryCursor) Close() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.close()
	return nil
}

func (c *memoryCursor) close() {
	if c.closed {
		return
	}
	c.closed = true
	close(c.done)
	for c.given.len() > 0 {
		c.waiting.pushFront(c.given.popBack())
	}
}
