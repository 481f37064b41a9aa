package journal

import "agentctl/handler"

// File is the side of a journal that whoever keeps it in a file sees: it takes
// what the file lacks by Gather, and says by Written or NotWritten what became
// of it. Its methods are safe for concurrent use, but there is one Gather at a
// time, and each is answered before the next.
type File struct{ journal *Journal }

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
	j := New(cfg)
	j.closeFile = file.Close
	j.changes = &unwrittenChanges{
		wake: make(chan struct{}, 1), behind: make(chan struct{}, 1),
		maxLive: file.MaxUnwritten, maxLiveBytes: file.MaxUnwrittenBytes,
	}
	j.restore(s)
	return j, &File{j}
}

// Wake receives when there is something to write, one value for any number.
func (f *File) Wake() <-chan struct{} { return f.journal.changes.wake }

// Retry makes Wake receive once more.
func (f *File) Retry() { signal(f.journal.changes.wake) }

// Behind receives when more than the limits waits for the file.
func (f *File) Behind() <-chan struct{} { return f.journal.changes.behind }

// Backlog is how far the file is behind its journal.
type Backlog struct {
	Events, Bytes int    // appended, held by someone, and not written
	Over          bool   // these are more than the limits allow
	Generation    uint64 // grows with each change
	Closed        bool   // there will be no more changes
	Held          int    // entries in memory for the file, with those that nobody holds any more

	Head       uint64 // the newest event
	Retained   int    // events of the history
	Duplicates uint64 // events left out, as they were held already
}

// Backlog tells what waits for the file.
func (f *File) Backlog() Backlog {
	j := f.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	return Backlog{
		Events: u.live, Bytes: u.liveBytes, Over: u.over(), Generation: u.generation, Closed: j.closed, Held: u.unwritten.Len(),
		Head: j.head, Retained: j.log.Len(), Duplicates: j.duplicates,
	}
}

// DurableLTime lowers a Lamport time to just below those of the user events that
// are not written yet.
func (f *File) DurableLTime(ltime uint64) uint64 {
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	u := f.journal.changes
	for i := range u.unwritten.Len() {
		if e := u.unwritten.At(i); e.refs > 0 && e.Event.Type == handler.User && e.Event.LTime <= ltime {
			ltime = max(e.Event.LTime, 1) - 1
		}
	}
	return ltime
}

// End refuses all further calls to the journal. What it holds stays until Drop.
func (f *File) End() { f.journal.end() }

// Drop lets go of what the journal holds, after End.
func (f *File) Drop() { f.journal.drop() }

// Gather takes what has changed since the last Gather.
func (f *File) Gather() *Changes { return f.journal.gather() }

// Written is told that a batch is in the file.
func (f *File) Written(changes *Changes) { f.journal.written(changes) }

// NotWritten is told that a batch may not be in the file, nor in part: its
// changes are for the next one.
func (f *File) NotWritten(changes *Changes) { f.journal.notWritten(changes) }
