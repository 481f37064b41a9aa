package journal

import (
	"bytes"
	"sync"
	"time"

	"agentctl/handler"
	fifo "agentctl/handler/queue"
)

// Journal is one log of events with a cursor for each target. Events have
// sequence numbers from 1, in the order of Append, with no holes. They stay for
// a retention by count, size and age, delivered or not; what a cursor still
// needs stays for that cursor, up to its own limit.
//
// It is held in memory and ends with the process, unless a file is behind it,
// from which the next process goes on: package disk keeps one. The log and the
// cursors hold pointers to the same entries, so an event is stored once however
// many targets wait for it, is free once the last of them is done with it, and
// an event that a target's filters refuse costs that target an empty outcome
// record at most.
//
// A Journal is safe for concurrent use.
type Journal struct {
	cfg Config

	mu         sync.Mutex
	log        fifo.Ring[*Entry] // what is retained
	bytes      int               // size of it
	head       uint64
	maxLTime   uint64            // of the user events that were appended
	byID       map[string]*Entry // all that is held
	ltimes     ltimeIndex        // the user events of the log
	trimTime   time.Time         // the latest of what the log let go of
	duplicates uint64            // events left out, as they were held already
	cursors    map[string]*Cursor
	closed     bool
	changes    *unwrittenChanges // what the file lacks; nil without a file
	closeFile  func() error      // what Close calls, where there is a file
}

// New makes an empty journal.
func New(cfg Config) *Journal {
	return &Journal{
		cfg:     cfg.withDefaults(),
		byID:    make(map[string]*Entry),
		cursors: make(map[string]*Cursor),
	}
}

// Append adds events at the end, in order, all or none. It copies the payloads,
// and waits for no target and no disk. Events of zero Time get the present one.
// An event that the journal has seen is left out. It fails only once the
// journal is closed.
func (j *Journal) Append(events ...handler.Event) error {
	now := time.Now()
	entries := make([]*Entry, len(events))
	for i, e := range events {
		e.Payload = bytes.Clone(e.Payload)
		if e.Time.IsZero() {
			e.Time = now
		}
		entries[i] = &Entry{Record: Record{Event: e}}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	for _, e := range entries {
		if j.byID[e.Event.ID] != nil {
			j.duplicates++
			continue
		}
		j.head++
		e.Seq = j.head
		if e.Event.Type == handler.User {
			j.maxLTime = max(j.maxLTime, e.Event.LTime)
		}
		j.retain(e)
		j.changes.appended(e)
		for _, c := range j.cursors {
			if c.filters().Match(e.Event.Type, e.Event.Name) {
				c.add(e)
			}
		}
	}
	j.trim(now)
	j.changes.wakeWriter()
	return nil
}

// retain puts an entry at the end of the log.
func (j *Journal) retain(e *Entry) {
	e.refs++
	j.log.PushBack(e)
	j.bytes += e.size()
	j.index(e)
	j.indexLTime(e)
}

func (j *Journal) index(e *Entry) {
	if e.Event.ID != "" {
		j.byID[e.Event.ID] = e
	}
}

// release is called when the log or a cursor lets go of an entry.
func (j *Journal) release(e *Entry) {
	if e.refs--; e.refs > 0 {
		return
	}
	delete(j.byID, e.Event.ID)
	j.changes.freed(e)
}

// Close ends the journal; readers that wait get ErrClosed. Where there is a
// file, what is left is written first, and the error says what was not.
func (j *Journal) Close() error {
	if j.closeFile != nil {
		return j.closeFile()
	}
	j.end()
	j.drop()
	return nil
}

// end refuses all further calls. What the journal holds stays, for the file.
func (j *Journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	j.closed = true
	for _, c := range j.cursors {
		c.close()
	}
}

// drop lets go of what the journal holds, after its end.
func (j *Journal) drop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log, j.bytes, j.byID, j.ltimes = fifo.Ring[*Entry]{}, 0, nil, ltimeIndex{}
}
