package journal

import "agentctl/handler"

// File is a journal as the keeper of its file sees it. The keeper takes what the file
// lacks with Gather, and answers each Gather with Written or NotWritten before the
// next. Apart from that, its methods are safe for concurrent use.
type File struct{ journal *Journal }

// FileConfig is what a journal needs to know about its file.
type FileConfig struct {
	// MaxUnwritten and MaxUnwrittenBytes are how many events, and bytes of
	// them, may wait for the file before Behind receives.
	MaxUnwritten, MaxUnwrittenBytes int
	// Close is called by the journal's Close. It has to call End, write the
	// rest, and call Drop.
	Close func() error
}

// Restore makes the journal of a state that was read from a file. It takes over the
// state, which has to be whole: every target has a cursor, and the history has no
// holes. All cursors are closed.
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

// Wake receives after changes, one value for any number of them.
func (f *File) Wake() <-chan struct{} { return f.journal.changes.wake }

// Retry makes Wake receive once more.
func (f *File) Retry() { signal(f.journal.changes.wake) }

// Behind receives when more events wait for the file than FileConfig allows.
func (f *File) Behind() <-chan struct{} { return f.journal.changes.behind }

// Backlog tells how far a file is behind its journal.
type Backlog struct {
	Events, Bytes int    // not written, and held by the log, a cursor or a burial
	Over          bool   // these are more than FileConfig allows
	Generation    uint64 // grows with each change
	Closed        bool   // there will be no more changes
	Held          int    // entries in memory for the file, with those that nobody else holds any more

	Head       uint64 // the newest event
	Retained   int    // events of the history
	Duplicates uint64 // events left out, as they were held already
}

// Backlog tells how far the file is behind now.
func (f *File) Backlog() Backlog {
	j := f.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.changes
	return Backlog{
		Events: u.live, Bytes: u.liveBytes, Over: u.over(), Generation: u.generation, Closed: j.closed, Held: u.unwritten.Len(),
		Head: j.log.head, Retained: j.log.len(), Duplicates: j.duplicates,
	}
}

// DurableLTime lowers a Lamport time to just below the lowest of the user events
// that are not written yet, if that is lower.
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

// End refuses all further calls to the journal. The memory stays as it is until Drop.
func (f *File) End() { f.journal.end() }

// Drop frees the journal's memory, after End.
func (f *File) Drop() { f.journal.drop() }

// Gather takes the changes since the last Gather.
func (f *File) Gather() *Changes { return f.journal.gather() }

// Written says that changes are in the file.
func (f *File) Written(changes *Changes) { f.journal.written(changes) }

// NotWritten says that changes may not be in the file, or not in full. The next
// Gather returns them again.
func (f *File) NotWritten(changes *Changes) { f.journal.notWritten(changes) }
