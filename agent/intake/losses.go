package intake

import (
	"log/slog"
	"time"
)

// missedSilence is for how long at first it is not logged again that messages are lost.
const missedSilence = 10 * time.Second

// losses are what was lost since the journal was told last.
type losses struct {
	full   uint64 // events that the queue had no room for
	unread uint64 // messages that were dropped before they were read
}

// tell makes gaps of the losses.
func (l losses) tell(j Log) error {
	for _, lost := range []struct {
		n      uint64
		reason string
	}{
		{l.full, "the journal did not take events in time"},
		{l.unread, "messages of members came faster than this node reads them"},
	} {
		if lost.n > 0 {
			if err := j.Gap(lost.n, lost.reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// Missed takes note of n messages that came to this node and were dropped before
// anything could read them. Each may have been an event. So they are counted, logged,
// and a gap in the journal. It never waits.
func (in *Intake) Missed(n uint64) {
	in.mu.Lock()
	in.unread += n
	in.missed += n
	missed := in.missed
	in.mu.Unlock()
	in.metrics.missed(n)
	in.sampled.Log(slog.LevelError, "events may be lost: members send faster than this node reads, so the targets are flushed",
		missedSilence, "messages", missed)
	in.wakeDispatch()
}
