package handler

import (
	"bytes"
	"iter"
	"sync"
	"time"
)

// MemoryConfig is the limits of a journal. Zero and less mean the default.
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
	// MaxBuried bounds what is kept of one target's buried events, for MaxAge
	// each. Default 1,000; beyond it the oldest burial is forgotten.
	MaxBuried int
}

func (cfg MemoryConfig) withDefaults() MemoryConfig {
	positiveOr(&cfg.MaxEvents, 100_000)
	positiveOr(&cfg.MaxBytes, 64<<20)
	positiveOr(&cfg.MaxAge, 24*time.Hour)
	positiveOr(&cfg.MaxPending, 100_000)
	positiveOr(&cfg.MaxPendingBytes, 64<<20)
	positiveOr(&cfg.MaxBuried, 1000)
	return cfg
}

// recordSize is about what a Record costs beside its payload.
const recordSize = 200

// entry is an event in a journal. Its Record never changes; the rest is
// guarded by the journal's lock.
type entry struct {
	Record
	refs    int  // the log and the cursors that hold it
	written bool // of a Disk: it is in the file
}

// Memory is a Journal in memory: it ends with the process. The log and the
// cursors hold pointers to the same entries, so an event is stored once
// however many targets wait for it, is free once the last of them is through,
// and an event that a target's filter refuses costs that target nothing more.
type Memory struct {
	cfg MemoryConfig

	mu         sync.Mutex
	log        deque[*entry] // what is retained
	bytes      int           // size of it
	head       uint64
	byID       map[string]*entry // all that is held
	duplicates uint64            // events left out, as they were held already
	cursors    map[string]*memoryCursor
	closed     bool
	changes    *changes // what a Disk has to write; nil without one
}

var _ Journal = (*Memory)(nil)

// NewMemory makes an empty journal.
func NewMemory(cfg MemoryConfig) *Memory {
	return &Memory{
		cfg:     cfg.withDefaults(),
		byID:    make(map[string]*entry),
		cursors: make(map[string]*memoryCursor),
	}
}

func positiveOr[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Append adds events. It fails only once the journal is closed.
func (m *Memory) Append(events ...Event) error {
	now := time.Now()
	entries := make([]*entry, len(events))
	for i, e := range events {
		e.Payload = bytes.Clone(e.Payload)
		if e.Time.IsZero() {
			e.Time = now
		}
		entries[i] = &entry{Record: Record{Event: e}}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for _, e := range entries {
		if m.byID[e.Event.ID] != nil {
			m.duplicates++
			continue
		}
		m.head++
		e.Seq = m.head
		m.retain(e)
		m.changes.appended(e)
		for _, c := range m.cursors {
			if c.filters.Match(e.Event.Type, e.Event.Name) {
				c.add(e)
			}
		}
	}
	m.trim(now)
	m.changes.wakeWriter()
	return nil
}

// retain puts an entry at the end of the log.
func (m *Memory) retain(e *entry) {
	e.refs++
	m.log.pushBack(e)
	m.bytes += e.size()
	m.index(e)
}

func (m *Memory) index(e *entry) {
	if e.Event.ID != "" {
		m.byID[e.Event.ID] = e
	}
}

// release is called when the log or a cursor lets go of an entry.
func (m *Memory) release(e *entry) {
	if e.refs--; e.refs > 0 {
		return
	}
	delete(m.byID, e.Event.ID)
	m.changes.freed(e)
}

// Seen tells whether the journal holds an event.
func (m *Memory) Seen(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byID[id] != nil
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
	m.changes.wakeWriter()
	return nil
}

// trim lets go of what is beyond the retention.
func (m *Memory) trim(now time.Time) {
	oldest := now.Add(-m.cfg.MaxAge)
	for m.log.len() > 0 {
		first := m.log.at(0)
		if m.log.len() <= m.cfg.MaxEvents && m.bytes <= m.cfg.MaxBytes && !first.Event.Time.Before(oldest) {
			break
		}
		m.bytes -= first.size()
		m.log.popFront()
		m.release(first)
	}
	for _, c := range m.cursors {
		c.trimBuried(oldest)
	}
}

// Cursor opens the cursor of a target.
func (m *Memory) Cursor(target string, fs Filters) (Cursor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	old := m.cursors[target]
	if old != nil && !old.closed {
		return nil, ErrCursorInUse
	}
	c := newMemoryCursor(m)
	if old == nil {
		c.queue = queue{filters: fs, since: m.head + 1, dirty: true, moved: true}
	} else {
		c.queue, old.queue = old.queue, queue{}
		if c.filters.String() != fs.String() {
			c.filters = fs
			c.rebase()
		}
		if c.lost > 0 {
			signal(c.losses)
		}
	}
	m.cursors[target] = c
	m.changes.wakeWriter()
	return c, nil
}

// Forget drops a closed cursor.
func (m *Memory) Forget(target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cursors[target]
	if c == nil {
		return nil
	}
	if !c.closed {
		return ErrCursorInUse
	}
	delete(m.cursors, target)
	c.releaseAll()
	m.changes.forget(target)
	m.changes.wakeWriter()
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
		entries := make([]*entry, m.log.len())
		for i := range entries {
			entries[i] = m.log.at(i)
		}
		m.mu.Unlock()
		for _, e := range entries {
			if want(&e.Record) && !yield(e.Record, nil) {
				return
			}
		}
	}
}

// Close ends the journal; readers that wait get ErrClosed.
func (m *Memory) Close() error {
	m.end()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log, m.bytes, m.byID = deque[*entry]{}, 0, nil
	return nil
}

// end refuses all further calls, and tells whether it was the first to. What
// the journal holds stays, for a Disk to write.
func (m *Memory) end() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.closed = true
	for _, c := range m.cursors {
		c.close()
	}
	return true
}

func (r *Record) size() int { return len(r.Event.Payload) + len(r.Event.Name) + recordSize }
