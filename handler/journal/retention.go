package journal

import (
	"time"

	"agentctl/handler"
)

// trim lets go of the events and burials beyond the retention.
func (j *Journal) trim(now time.Time) {
	oldest := now.Add(-j.cfg.MaxAge)
	for j.log.len() > 0 {
		first := j.log.oldest()
		aged := first.Event.Time.Before(oldest) && !j.replayable(&first.Event)
		if j.log.len() <= j.cfg.MaxEvents && j.bytes <= j.cfg.MaxBytes && !aged {
			break
		}
		j.bytes -= first.size()
		j.log.pop()
		j.unindexLTime(first)
		if first.refs > 1 {
			j.stray(first)
		}
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
