package journal

import (
	"time"

	"agentctl/handler"
)

// trim lets go of the events and burials beyond the retention.
func (j *Journal) trim(now time.Time) {
	oldest := now.Add(-j.cfg.MaxAge)
	for j.log.Len() > 0 {
		first := j.log.At(0)
		aged := first.Event.Time.Before(oldest) && !j.replayable(&first.Event)
		if j.log.Len() <= j.cfg.MaxEvents && j.bytes <= j.cfg.MaxBytes && !aged {
			break
		}
		j.bytes -= first.size()
		j.log.PopFront()
		j.unindexLTime(first)
		j.release(first)
	}
	first := j.firstRetained()
	for _, c := range j.cursors {
		c.trimOutcomes(first)
		c.trimBuried(oldest)
	}
}

// replayable tells whether a member may send an event again.
func (j *Journal) replayable(e *handler.Event) bool {
	return e.Type == handler.User && j.maxLTime-e.LTime < j.cfg.Window
}
