package journal

import (
	"time"

	fifo "agentctl/handler/queue"
)

// OutcomeState says in a word what became of an event for a target.
type OutcomeState string

// The states of an event. It is "" if the event was not for the target, or if the
// journal does not know of it any more.
const (
	OutcomeWaiting   OutcomeState = "waiting"   // it is pending, or joined to a pending event
	OutcomeDelivered OutcomeState = "delivered" // the target took it
	OutcomeBuried    OutcomeState = "buried"    // the target refused it for good
	OutcomeLost      OutcomeState = "lost"      // it was given up
	OutcomeOutdated  OutcomeState = "outdated"  // it was not posted, because it was not true any more
)

// Outcome tells what became of an event for a target.
type Outcome struct {
	State  OutcomeState
	Time   time.Time // when it was settled; zero while it waits, and if an earlier process settled it
	Status int       // of the target's answer; 0 if it is not known
	Into   uint64    // the leader that it was joined to, whose outcome it shares; else 0
}

// verdict is an OutcomeState of one byte.
type verdict uint8

const (
	verdictNone verdict = iota // it waits, was not for the target, or was settled in an earlier process
	verdictDelivered
	verdictBuried
	verdictLost
	verdictOutdated
	verdictJoined // it waits with its leader
)

var verdictStates = [...]OutcomeState{"", OutcomeDelivered, OutcomeBuried, OutcomeLost, OutcomeOutdated, OutcomeWaiting}

// record is a cursor's memory of an event, in 16 bytes.
type record struct {
	at      int64  // Unix nanoseconds; for a joined event the number of the event joined before it
	into    uint32 // how far before the event its leader is; 0 if it has none
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

// outcomes are the records of a cursor, for events of the history. They end with the
// last event that was for the target. So there are none if the target's filters
// refuse everything.
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

// set notes a record; retained is the first event of the history.
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

// trimOutcomes forgets the events that the log has let go of.
func (c *Cursor) trimOutcomes(retained uint64) {
	for o := &c.outcomes; o.records.Len() > 0 && o.first < retained; o.first++ {
		if r := o.records.PopFront(); r.verdict == verdictJoined {
			c.leave(o.first, r)
		}
	}
}

// outcome tells what became of an event. For an event that an earlier process
// settled, it derives that from the filter epochs and the spans of lost and refused
// events.
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
	// An earlier process settled it.
	switch {
	case c.lostSpans.has(seq):
		return Outcome{State: OutcomeLost}
	case c.refusedSpans.has(seq):
		return Outcome{State: OutcomeBuried}
	}
	return Outcome{State: OutcomeDelivered}
}
