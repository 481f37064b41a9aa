package journal

import "agentctl/handler"

// File is the side of a journal that whoever keeps it in a file sees: it takes
// what the file lacks by Gather, and says by Written or NotWritten what became
// of it. Its methods are safe for concurrent use, but there is one Gather at a
// time, and each is answered before the next.
type File struct{ m *Journal }

// FileConfig is what a journal with a file is told of it.
type FileConfig struct {
	// MaxUnwritten and MaxUnwrittenBytes are how much may wait for the file
	// before Behind receives.
	MaxUnwritten, MaxUnwrittenBytes int
	// Close is what Close of the journal calls in place of ending it: it writes
	// what is left, with calls of End and Drop around that.
	Close func() error
}

// Restore makes the journal that a file holds.
func Restore(cfg Config, s *State, file FileConfig) (*Journal, *File) {
	m := New(cfg)
	m.closeFile = file.Close
	m.changes = &unwrittenChanges{
		wake: make(chan struct{}, 1), behind: make(chan struct{}, 1),
		maxLive: file.MaxUnwritten, maxLiveBytes: file.MaxUnwrittenBytes,
	}
	m.restore(s)
	return m, &File{m}
}

// Wake receives when there is something to write, one value for any number.
func (f *File) Wake() <-chan struct{} { return f.m.changes.wake }

// Retry makes Wake receive once more.
func (f *File) Retry() { signal(f.m.changes.wake) }

// Behind receives when more than the limits waits for the file.
func (f *File) Behind() <-chan struct{} { return f.m.changes.behind }

// Backlog is how far the file is behind its journal.
type Backlog struct {
	Events, Bytes int    // appended, held by someone, and not written
	Over          bool   // these are more than the limits allow
	Gen           uint64 // grows with each change
	Closed        bool   // there will be no more changes
	Kept          int    // entries in memory for the file, with those that nobody holds any more

	Head       uint64 // the newest event
	Retained   int    // events of the history
	Duplicates uint64 // events left out, as they were held already
}

// Backlog tells what waits for the file.
func (f *File) Backlog() Backlog {
	m := f.m
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := m.changes
	return Backlog{
		Events: ch.live, Bytes: ch.liveBytes, Over: ch.over(), Gen: ch.gen, Closed: m.closed, Kept: ch.unwritten.Len(),
		Head: m.head, Retained: m.log.Len(), Duplicates: m.duplicates,
	}
}

// DurableLTime lowers a Lamport time to just below those of the user events that
// are not written yet.
func (f *File) DurableLTime(ltime uint64) uint64 {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	ch := f.m.changes
	for i := range ch.unwritten.Len() {
		if e := ch.unwritten.At(i); e.refs > 0 && e.Event.Type == handler.User && e.Event.LTime <= ltime {
			ltime = max(e.Event.LTime, 1) - 1
		}
	}
	return ltime
}

// End refuses all further calls to the journal. What it holds stays until Drop.
func (f *File) End() { f.m.end() }

// Drop lets go of what the journal holds, after End.
func (f *File) Drop() { f.m.drop() }

// Gather takes what has changed since the last Gather.
func (f *File) Gather() *Changes { return f.m.gather() }

// Written is told that a batch is in the file.
func (f *File) Written(b *Changes) { f.m.written(b) }

// NotWritten is told that a batch may not be in the file, nor in part: its
// changes are for the next one.
func (f *File) NotWritten(b *Changes) { f.m.notWritten(b) }
