package journal

import (
	"bytes"
	"sync"
	"time"

	"agentctl/handler"
	fifo "agentctl/handler/queue"
)

// Journal is one log of events, with a cursor for each target. It is safe for
// concurrent use.
//
// The log and the cursors hold pointers to the same entries. So an event is stored
// once, however many targets wait for it, and is freed when the last of them has
// settled it. An event that a target's filters refuse costs that target an empty
// outcome record at most.
type Journal struct {
	cfg Config

	mu         sync.Mutex
	log        fifo.Ring[*Entry] // the history
	bytes      int               // of the history
	head       uint64            // the newest sequence number
	maxLTime   uint64            // of the user events that were appended
	byID       map[string]*Entry // every entry that somebody holds
	ltimes     ltimeIndex        // the user events of the log
	trimTime   time.Time         // the latest time of an event that the log let go of
	duplicates uint64            // events left out, as they were held already
	cursors    map[string]*Cursor
	closed     bool
	changes    *unwrittenChanges // that the file lacks; nil without a file
	closeFile  func() error      // ends the journal with its file; nil without one
}

// New makes an empty journal.
func New(cfg Config) *Journal {
	return &Journal{
		cfg:     cfg.withDefaults(),
		byID:    make(map[string]*Entry),
		cursors: make(map[string]*Cursor),
	}
}

// Append adds events at the end, in order. It copies the payloads, and waits for no
// target and no disk. Events of zero Time get the present one. An event whose ID
// the journal holds is left out, and counted as a duplicate. The only error is
// ErrClosed, and then none was added.
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
		if indexed(e) {
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

// release is called when the log, a cursor or a burial lets go of an entry.
func (j *Journal) release(e *Entry) {
	if e.refs--; e.refs > 0 {
		return
	}
	delete(j.byID, e.Event.ID)
	j.changes.freed(e)
}

// Close ends the journal. Readers that wait get ErrClosed. A journal with a file is
// written first, and the error says how many events were not.
func (j *Journal) Close() error {
	if j.closeFile != nil {
		return j.closeFile()
	}
	j.end()
	j.drop()
	return nil
}

// end refuses all further calls. The memory stays as it is, for the file.
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

// drop frees the journal's memory, after its end.
func (j *Journal) drop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log, j.bytes, j.byID, j.ltimes = fifo.Ring[*Entry]{}, 0, nil, ltimeIndex{}
}
