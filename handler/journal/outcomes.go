package journal

import (
	"time"

	fifo "agentctl/handler/queue"
)

// OutcomeState is what became of an event for a target.
type OutcomeState string

// The states of an event. That of one which was not for the target is "".
const (
	OutcomeWaiting   OutcomeState = "waiting"   // or in someone's hands
	OutcomeDelivered OutcomeState = "delivered" // the target took it
	OutcomeBuried    OutcomeState = "buried"    // the target refused it for good
	OutcomeLost      OutcomeState = "lost"      // it was given up
	OutcomeOutdated  OutcomeState = "outdated"  // it was not posted, as it was not true any more
)

// Outcome is what became of an event for a target.
type Outcome struct {
	State  OutcomeState
	Time   time.Time // of delivery, burial, loss or being outdated; zero while it waits, and where that was in an earlier process
	Status int       // of the answer; 0 where it is not known
	Into   uint64    // the event that it was joined to, where it was: they share their outcome; else 0
}

// verdict is an OutcomeState of one byte.
type verdict uint8

const (
	verdictNone verdict = iota // it waits, was not for the target, or was through in an earlier process
	verdictDelivered
	verdictBuried
	verdictLost
	verdictOutdated
	verdictJoined // it waits with its leader
)

var verdictStates = [...]OutcomeState{"", OutcomeDelivered, OutcomeBuried, OutcomeLost, OutcomeOutdated, OutcomeWaiting}

// record is what a cursor remembers of an event, in 16 bytes.
type record struct {
	at      int64  // in Unix nanoseconds; of a joined one the number of the one joined before it
	into    uint32 // how far before it its leader is; 0 where it has none
	status  uint16
	verdict verdict
}

func (r record) outcome(seq uint64) Outcome {
	o := Outcome{State: verdictStates[r.verdict], Status: int(r.status)}
	if r.verdict != verdictJoined {
		o.Time = time.Unix(0, r.at)
	}
	if r.into > 0 {
		o.Into = seq - uint64(r.into)
	}
	return o
}

// outcomes are the records of a cursor, for events that the log retains. They
// end with the last event that concerned the target, so that one whose filters
// refuse everything has none.
type outcomes struct {
	records fifo.Ring[record]
	first   uint64 // the event of the first record
}

func (o *outcomes) get(seq uint64) record {
	if i := seq - o.first; i < uint64(o.records.Len()) { // a seq before it makes i huge
		return o.records.At(int(i))
	}
	return record{}
}

// set notes a record; retained is the first event that the log has.
func (o *outcomes) set(seq, retained uint64, r record) {
	if o.records.Len() == 0 {
		o.first = retained
	}
	if seq < o.first {
		return
	}
	for o.first+uint64(o.records.Len()) <= seq {
		o.records.PushBack(record{})
	}
	o.records.Set(int(seq-o.first), r)
}

// trimOutcomes forgets what the log has let go of.
func (c *Cursor) trimOutcomes(retained uint64) {
	for o := &c.outcomes; o.records.Len() > 0 && o.first < retained; o.first++ {
		if r := o.records.PopFront(); r.verdict == verdictJoined {
			c.leave(o.first, r)
		}
	}
}

// outcome tells what became of an event.
func (c *Cursor) outcome(seq uint64) Outcome {
	if c.holds(seq) != nil {
		return Outcome{State: OutcomeWaiting}
	}
	e := c.journal.retained(seq)
	if r := c.outcomes.get(seq); e != nil && r.verdict != verdictNone {
		return r.outcome(seq)
	}
	if b := c.findBuried(seq); b != nil {
		return Outcome{State: OutcomeBuried, Time: b.why.Time, Status: b.why.Status}
	}
	if e == nil || !c.meant(e) {
		return Outcome{}
	}
	// It was through before this process began.
	switch {
	case c.lostSpans.has(seq):
		return Outcome{State: OutcomeLost}
	case c.refusedSpans.has(seq):
		return Outcome{State: OutcomeBuried}
	}
	return Outcome{State: OutcomeDelivered}
}
