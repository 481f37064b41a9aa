package journal

import (
	fifo "agentctl/handler/queue"
)

// unwrittenChanges tells what a journal's file lacks. The journal's lock guards it. A
// journal without a file has a nil *unwrittenChanges, which notes nothing.
//
// It cannot outgrow the journal's limits, however long the disk is stuck. An entry
// that nobody holds any more need not be written, and a cursor is one state,
// however often it changed.
type unwrittenChanges struct {
	unwritten fifo.Ring[*Entry] // appended and not written; some may be dead
	live      int               // those that somebody holds; the others are dead
	liveBytes int
	deleted   []uint64 // written, and not held by anybody any more
	forgotten []string // targets that were forgotten

	generation uint64        // grows with each change
	wake       chan struct{} // holds a value when there is something to write

	maxLive, maxLiveBytes int
	behind                chan struct{} // holds a value when more than these are live
}

// maxDead is how many dead entries there may be, however few are live.
const maxDead = 1024

func (u *unwrittenChanges) appended(e *Entry) {
	if u == nil {
		return
	}
	u.unwritten.PushBack(e)
	u.live++
	u.liveBytes += e.size()
	if u.over() {
		signal(u.behind)
	}
}

func (u *unwrittenChanges) over() bool {
	return u.live > u.maxLive || u.liveBytes > u.maxLiveBytes
}

// freed is called for an entry that nobody holds any more.
func (u *unwrittenChanges) freed(e *Entry) {
	if u == nil {
		return
	}
	if e.written {
		u.deleted = append(u.deleted, e.Seq)
		return
	}
	u.live--
	u.liveBytes -= e.size()
	if n := u.unwritten.Len(); n > maxDead && n > 2*u.live {
		for range n {
			if e := u.unwritten.PopFront(); e.refs > 0 {
				u.unwritten.PushBack(e)
			}
		}
	}
}

func (u *unwrittenChanges) forget(target string) {
	if u != nil {
		u.forgotten = append(u.forgotten, target)
	}
}

// wakeWriter is called at the end of each call that changed something.
func (u *unwrittenChanges) wakeWriter() {
	if u == nil {
		return
	}
	u.generation++
	signal(u.wake)
}
