package journal

import (
	"bytes"
	"sync"
	"time"

	"agentctl/handler"
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
	log        history
	bytes      int               // of the history
	maxLTime   uint64            // of the user events that were appended
	strays     map[string]*Entry // entries that the log has let go of and others hold, by ID
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
	cfg = cfg.withDefaults()
	return &Journal{
		cfg:     cfg,
		log:     newHistory(cfg.MaxEvents),
		strays:  make(map[string]*Entry),
		cursors: make(map[string]*Cursor),
	}
}

// Append adds events at the end, in order. It copies the payloads, and waits for no
// target and no disk. Events of zero Time get the present one. An event whose ID
// the journal holds is left out, and counted as a duplicate. The only error is
// ErrClosed, and then none was added.
func (j *Journal) Append(events ...handler.Event) error {
	now := time.Now()
	entries := make([]*Entry, 0, 8) // on the stack, for as many as mostly come
	for _, e := range events {
		e.Payload = bytes.Clone(e.Payload)
		if e.Time.IsZero() {
			e.Time = now
		}
		entries = append(entries, &Entry{Record: Record{Event: e}, written: j.changes == nil})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	for _, e := range entries {
		if j.has(e.Event.ID) {
			j.duplicates++
			continue
		}
		e.Seq = j.log.head + 1
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
	j.log.push(e)
	j.bytes += e.size()
	j.indexLTime(e)
}

// stray is called for an entry that others than the log hold, and the log does not.
func (j *Journal) stray(e *Entry) {
	if e.Event.ID != "" {
		j.strays[e.Event.ID] = e
	}
}

// hold is called when a cursor or a burial gets an entry.
func (j *Journal) hold(e *Entry) {
	e.refs++
	j.log.keep(e)
}

// release is called when the log, a cursor or a burial lets go of an entry.
func (j *Journal) release(e *Entry) {
	switch e.refs--; {
	case e.refs == 0:
		delete(j.strays, e.Event.ID)
		j.changes.freed(e)
	case e.Seq >= j.log.first():
		j.unneed(e)
	}
}

// unneed is called for an entry of the log that may not be needed any more.
func (j *Journal) unneed(e *Entry) {
	if !e.needed() {
		j.log.forget(e.Seq)
	}
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
	j.log, j.bytes, j.strays, j.ltimes = history{head: j.log.head}, 0, nil, ltimeIndex{}
}
