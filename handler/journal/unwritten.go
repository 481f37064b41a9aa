package journal

import (
	fifo "agentctl/handler/queue"
)

// unwrittenChanges is what a journal's file lacks of what its memory holds. It is
// guarded by the journal's lock. A nil *changes is that of a journal without a
// file, and notes nothing.
//
// It cannot outgrow the journal's limits, however long the disk is stuck: an
// entry that nobody holds any more need not be written, and a cursor is one
// state, however often it changed.
type unwrittenChanges struct {
	unwritten fifo.Ring[*Entry] // appended and not written; dead ones among them
	live      int               // those that someone holds
	liveBytes int
	gone      []uint64 // written, and let go of by all
	forgotten []string // targets

	generation uint64        // grows with each change
	wake       chan struct{} // holds a value when there is something to write

	maxLive, maxLiveBytes int
	behind                chan struct{} // holds a value when more than those wait
}

// maxDead is how many of the unwritten may be dead, whatever their share.
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

// freed is told of an entry that nobody holds any more.
func (u *unwrittenChanges) freed(e *Entry) {
	if u == nil {
		return
	}
	if e.written {
		u.gone = append(u.gone, e.Seq)
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

// wakeWriter ends each call that changed something.
func (u *unwrittenChanges) wakeWriter() {
	if u == nil {
		return
	}
	u.generation++
	signal(u.wake)
}
