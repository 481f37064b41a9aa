package handler

import (
	"bytes"
	"iter"
	"sync"
	"time"
)

// MemoryConfig is the limits of a Memory. Zero and less mean the default.
type MemoryConfig struct {
	// MaxEvents, MaxBytes and MaxAge bound the history that is retained.
	// Defaults 100,000, 64 MiB, 24 h. Age goes by Event.Time.
	MaxEvents int
	MaxBytes  int
	MaxAge    time.Duration
	// MaxPending and MaxPendingBytes bound what waits for one target. Defaults
	// 100,000 and 64 MiB. Beyond them its oldest waiting events are lost.
	MaxPending      int
	MaxPendingBytes int
}

// recordSize is about what a Record costs beside its payload.
const recordSize = 200

// Memory is a Journal in memory: it ends with the process. The log and the
// cursors hold pointers to the same records, so an event is stored once
// however many targets wait for it, is free once the last of them is through,
// and an event that a target's filter refuses costs that target nothing more.
type Memory struct {
	cfg MemoryConfig

	mu      sync.Mutex
	log     deque[*Record] // what is retained
	bytes   int            // size of it
	head    uint64
	cursors map[string]*memoryCursor
	closed  bool
}

var _ Journal = (*Memory)(nil)

// NewMemory makes an empty journal.
func NewMemory(cfg MemoryConfig) *Memory {
	positiveOr(&cfg.MaxEvents, 100_000)
	positiveOr(&cfg.MaxBytes, 64<<20)
	positiveOr(&cfg.MaxAge, 24*time.Hour)
	positiveOr(&cfg.MaxPending, 100_000)
	positiveOr(&cfg.MaxPendingBytes, 64<<20)
	return &Memory{cfg: cfg, cursors: make(map[string]*memoryCursor)}
}

func positiveOr[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Append adds events. It fails only once the journal is closed.
func (m *Memory) Append(events ...Event) error {
	now := time.Now()
	recs := make([]*Record, len(events))
	for i, e := range events {
		e.Payload = bytes.Clone(e.Payload)
		if e.Time.IsZero() {
			e.Time = now
		}
		recs[i] = &Record{Event: e}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for _, rec := range recs {
		m.head++
		rec.Seq = m.head
		m.log.pushBack(rec)
		m.bytes += rec.size()
		for _, c := range m.cursors {
			if c.filters.Match(rec.Event.Type, rec.Event.Name) {
				c.add(rec)
			}
		}
	}
	m.trim(now)
	return nil
}

// Gap counts events that were lost on the way to the journal.
func (m *Memory) Gap(n uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for _, c := range m.cursors {
		c.lose(n)
	}
	return nil
}

// trim lets go of what is beyond the retention.
func (m *Memory) trim(now time.Time) {
	oldest := now.Add(-m.cfg.MaxAge)
	for m.log.len() > 0 {
		first := m.log.at(0)
		if m.log.len() <= m.cfg.MaxEvents && m.bytes <= m.cfg.MaxBytes && !first.Event.Time.Before(oldest) {
			return
		}
		m.bytes -= first.size()
		m.log.popFront()
	}
}

// Cursor opens the cursor of a target.
func (m *Memory) Cursor(target string, fs Filters) (Cursor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	c := &memoryCursor{
		m:       m,
		filters: fs,
		wake:    make(chan struct{}, 1),
		losses:  make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	if old := m.cursors[target]; old != nil {
		if !old.closed {
			return nil, ErrCursorInUse
		}
		c.waiting, c.bytes = old.waiting, old.bytes
		old.waiting, old.bytes = deque[*Record]{}, 0
		c.lost, c.gapSince = old.lost, old.gapSince
		if c.lost > 0 {
			c.losses <- struct{}{}
		}
	}
	m.cursors[target] = c
	return c, nil
}

// Forget drops a closed cursor.
func (m *Memory) Forget(target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.cursors[target]; c != nil && !c.closed {
		return ErrCursorInUse
	}
	delete(m.cursors, target)
	return nil
}

// Head is the newest sequence number.
func (m *Memory) Head() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head
}

// Events yields what is retained from a sequence number on.
func (m *Memory) Events(from uint64) iter.Seq2[Record, error] {
	return m.scan(func(rec *Record) bool { return rec.Seq >= from })
}

// ByLTime yields what is retained of a range of Lamport times.
func (m *Memory) ByLTime(typ Type, from, to uint64) iter.Seq2[Record, error] {
	return m.scan(func(rec *Record) bool {
		e := &rec.Event
		return e.Type == typ && from <= e.LTime && e.LTime <= to
	})
}

// scan walks a copy of the log's pointers, so that a slow caller holds no lock
// against Append. 100,000 of them are 800 KB and some 50 µs.
func (m *Memory) scan(want func(*Record) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		m.mu.Lock()
		if m.closed {
			m.mu.Unlock()
			yield(Record{}, ErrClosed)
			return
		}
		m.trim(time.Now())
		recs := make([]*Record, m.log.len())
		for i := range recs {
			recs[i] = m.log.at(i)
		}
		m.mu.Unlock()
		for _, rec := range recs {
			if want(rec) && !yield(*rec, nil) {
				return
			}
		}
	}
}

// Close ends the journal; readers that wait get ErrClosed.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.log, m.bytes = deque[*Record]{}, 0
	for _, c := range m.cursors {
		c.close()
	}
	return nil
}

func (r *Record) size() int { return len(r.Event.Payload) + len(r.Event.Name) + recordSize }
