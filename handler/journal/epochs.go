package journal

import (
	"slices"

	"agentctl/handler"
)

// maxEpochs bounds the filters that a cursor remembers. Beyond it the oldest are
// forgotten, and of the events before nobody knows any more that they were for
// the target.
const maxEpochs = 32

// FilterEpoch is from which event on a cursor had which filters. The first began when
// the cursor was born: what is before it was not for the target. Only the last
// picks events; the others tell of those that are through.
type FilterEpoch struct {
	From    uint64
	Filters handler.Filters
}

func (q *queue) filters() handler.Filters { return q.epochs[len(q.epochs)-1].Filters }

// newEpoch changes the filters for the events appended from now on.
func (c *Cursor) newEpoch(fs handler.Filters) {
	from := c.journal.head + 1
	if last := &c.epochs[len(c.epochs)-1]; last.From == from {
		last.Filters = fs
	} else {
		c.epochs = append(c.epochs, FilterEpoch{from, fs})
	}
	c.epochs = slices.Delete(c.epochs, 0, max(0, len(c.epochs)-maxEpochs))
	c.rebase()
}

// meant tells whether an event was for the target when it was appended.
func (q *queue) meant(e *Entry) bool {
	for _, epoch := range slices.Backward(q.epochs) {
		if epoch.From <= e.Seq {
			return epoch.Filters.Match(e.Event.Type, e.Event.Name)
		}
	}
	return false
}
